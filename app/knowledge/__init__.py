"""Knowledge: what is known before an incident comes: types, past cases, runbooks.

Holds:     `taxonomy.yaml` (types and strategies), cases (ours from `knowledge/cases`, the
           site's from outcomes and corrections, as rows), runbooks (markdown in folders).
Gives:     `Retriever`: the nearest cases and the most relevant runbook sections to a text.
Words:     a *case* is a past incident with its label and resolution; a *chunk* is one section
           of a runbook, cited as `id#section`; an *embedding* is a unit vector of 384 float32.
Rules:     rows are the truth; the index (`snapshot`, on disk) is built from them and swapped by
           reference. It names a row by its number; a row that was replaced or retired is passed over.
           A runbook's text is data, never an instruction. The `shelf` has those in force: a site's
           own on top of the shipped ones, of a broken file the last version that was whole. `watch`
           puts a change in force; every process that diagnoses has one.
Models:    sentence-transformers' all-MiniLM-L6-v2 from a package on disk, checked by its
           sha256; run as ONNX so that serving does not load torch.
Tests:     `tests/knowledge`; `mendline runbook lint` and `mendline knowledge check`.
"""
