"""Learning: verified outcomes and people's corrections become knowledge at once.

Comes in:  an `Outcome`, or a correction ("this is really a quota").
Goes out:  a case that the next similar event cites; a moved posterior of the strategy.
Rules:     only what was verified, or said by a person, is learned. A correction retires the
           case that an outcome of the same incident had left. What was unlearned stays so.
Tests:     `tests/learning`.
"""
