"""Diagnosis: what kind of failure this is, how sure we are, and what repaired it before.

Comes in:  a `Symptom`: the text and the few fields of an incident that scorers read.
Goes out:  a `Diagnosis`: type, calibrated confidence, strategy with parameters, findings.
Words:     a *scorer* gives a *finding*: scores per type, a hint in words, *evidence* that
           can be checked. `fuse` combines findings, `calibrate` makes the result a
           probability, `choose` maps the type to a registered strategy.
Rules:     same input, same output. A scorer that fails contributes nothing and says so.
           Unknown is an answer: too little evidence gives `unknown_error`.
Add a scorer: one file in `scorers/`, one line in the tuple of `scorers/__init__.py` (`mendline new
           scorer` writes both); a test, and `tests/contracts/test_scorers.py` finds it.
Tests:     `tests/diagnosis`, `tests/contracts/test_scorers.py`.
"""
