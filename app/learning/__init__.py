"""Learning: verified outcomes and people's corrections become knowledge at once.

Comes in:  an `Outcome`, or a correction ("this is really a quota"); labelled rows to measure with.
Goes out:  a case that the next similar event cites; a moved posterior of the strategy; the
           figures of an evaluation.
Words:     a *label* is what a person said the type of an incident really is.
Rules:     only what was verified, or said by a person, is learned. A correction retires the
           case that an outcome of the same incident had left. What was unlearned stays so.
           Models are fitted on shipped cases only, so that a restart answers as before.
Tests:     `tests/learning`.
"""
