"""Build: cases, runbooks and a taxonomy become a working `Diagnose`, fitted once and kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app.diagnosis.choose import Records
from app.diagnosis.diagnose import Diagnose
from app.diagnosis.excerpt import excerpt, meaning
from app.diagnosis.fit import (
    MODEL_WEIGHT,
    OWN_WEIGHT,
    Fitted,
    Manifest,
    Weights,
    fit,
    keep,
    load,
    manifest_for,
    name_of,
    read_weights,
)
from app.diagnosis.scorer import Scorer, named
from app.diagnosis.scorers import (
    SCORERS,
    EmbeddingLinear,
    LanguageModel,
    NearestCases,
    OwnCases,
    RunbookSections,
    TfidfLinear,
)
from app.diagnosis.weigh import Heard
from app.foundation.clock import Clock
from app.foundation.logging import log
from app.knowledge.case import Case, Origin
from app.knowledge.embed import Embedder, Matrix
from app.knowledge.retrieve import Retriever
from app.knowledge.runbook import Runbook
from app.knowledge.taxonomy import Taxonomy
from app.llm.chat import Chat


def embedded(cases: Sequence[Case]) -> list[str]:
    """The texts under which cases are embedded and found."""
    return [meaning(excerpt(case.text)) for case in cases]


def build(
    cases: Sequence[Case],
    vectors: Matrix | Callable[[], Matrix],
    runbooks: Sequence[Runbook],
    embedder: Embedder,
    taxonomy: Taxonomy,
    registered: Sequence[str],
    records: Records,
    clock: Clock,
    models: Path | None = None,
    weights: Path | None = None,
    chat: Chat | None = None,
    embed: Callable[[Sequence[str]], Matrix] | None = None,
    heard: Callable[[], Mapping[str, Heard]] = dict,
    retriever: Retriever | None = None,
    more: Sequence[Callable[[Retriever], Scorer]] = (),
) -> tuple[Diagnose, Retriever]:
    """`vectors` embed `embedded(cases)`, or do so when asked, which is when models are fitted; `retriever`
    is one that has its cases already. With `models`, a fit that is kept there is used again;
    `weights` is the file of those that ship; `chat` adds the language model as a judge;
    `embed` knows the vectors of the runbooks' sections that were embedded before; `heard` tells how
    often each voice was right here; `more` make scorers that do not ship, none of which can keep the
    others from working.

    Models are fitted on shipped cases, so that a restart gives the same answers as before;
    the site's own cases count through retrieval at once, and through `own_cases`.
    """
    if retriever is None:
        retriever = Retriever(embedder, meaning)
        retriever.load_cases(cases, vectors() if callable(vectors) else vectors)
    retriever.load_runbooks(runbooks, embed)
    rows = [row for row, case in enumerate(cases) if case.origin is Origin.SHIPPED]
    known = [cases[row] for row in rows]
    manifest = manifest_for(known, embedder.id)
    fitted = load(manifest, models) if models else None
    if fitted is None:
        shipped = read_weights(weights) if weights else None
        matrix = vectors() if callable(vectors) else vectors
        fitted = _fit(known, matrix[np.array(rows, dtype=int)], manifest, retriever, shipped)
        if models:
            keep(fitted, models)
    scorers: list[Scorer] = [
        TfidfLinear(TfidfLinear.Params(), fitted.tfidf),
        EmbeddingLinear(EmbeddingLinear.Params(), fitted.embedding, retriever),
        NearestCases(NearestCases.Params(), retriever),
        RunbookSections(RunbookSections.Params(), retriever),
        OwnCases(OwnCases.Params(), retriever),
    ]
    # How often these two are right is not known before a site has heard them.
    assumed = {name_of(OwnCases): 0.9, name_of(LanguageModel): 0.75}
    judge = None if chat is None else LanguageModel(LanguageModel.Params(), chat, taxonomy)
    pooled = {**fitted.weights, name_of(OwnCases): OWN_WEIGHT}
    if judge is not None:
        pooled[name_of(LanguageModel)] = MODEL_WEIGHT
    named_here = {LanguageModel, *map(type, scorers)}
    ours: list[Any] = [kind for kind in SCORERS if kind not in named_here]
    for make in (*ours, *more):
        try:
            scorers.append(make(retriever))
        except Exception as error:
            log(__name__).error("scorer.not_made", scorer=getattr(make, "id", ""), exc_info=error)
        else:
            pooled[named(scorers[-1])] = MODEL_WEIGHT
            assumed[named(scorers[-1])] = assumed[name_of(LanguageModel)]
    fitted = replace(fitted, accuracy=fitted.accuracy | assumed)
    brain = Diagnose(scorers, pooled, fitted, retriever, taxonomy, registered, records, clock, judge, heard)
    return brain, retriever


def _fit(
    cases: Sequence[Case], vectors: Matrix, manifest: Manifest, retriever: Retriever, kept: Weights | None
) -> Fitted:
    runbooks = RunbookSections(RunbookSections.Params(), retriever)

    def votes(text: str) -> dict[str, float]:
        return runbooks.vote(*runbooks.gather(text))

    return fit(cases, vectors, manifest, votes, kept)
