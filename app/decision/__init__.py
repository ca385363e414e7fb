"""Decision: act, ask, escalate or ignore, with every reason kept.

Comes in:  a `Situation`: the incident, its diagnosis, the plan, what was done lately.
Goes out:  a `Decision` with a verdict from every gate; the strictest wins.
Words:     a *gate* gives a *verdict*: allow, ask or block, with a reason code and a sentence.
           A *mode* is live or shadow; in shadow what would act or ask is only recorded.
Files:     `policy.yaml` (rules and trust) and `freeze.yaml` with calendars beside it; `reading` reads
           both, tells every mistake with its line, and never falls back to an older version.
Rules:     every gate runs. Gates read, never write. What is unknown, unreadable or raises
           is an ask, never an allow. High risk always asks. What the gates saw is kept with each
           decision: the same situation at the same time is decided the same, always.
Add a gate: one file in `gates/` with `check`, its place in the tuple of `gates/__init__.py`,
           a test; `tests/contracts/test_gates.py` finds it.
Tests:     `tests/decision`, `tests/contracts/test_gates.py`.
"""
