"""Pipeline: the verbs in order, on the durable engine.

Comes in:  an opened or reopened incident; an answered approval.
Goes out:  a diagnosis, a decision, and where it came to that a repair with its outcome.
Flow:      `workflows` has the order, `Pipeline` the steps. `heal` diagnoses, plans and decides.
           To act it begins a remediation and goes on to `repair`; to ask it stores an approval
           and ends. The answer starts `answered`.
Ids:       a workflow's id is derived from what it is about (incident and episode, approval,
           remediation), so that starting twice is once.
Rules:     a workflow's body has no clock, randomness, I/O or database; each of those is a step.
           Steps are repeatable: what is recorded is the stretch from one sleep to the next.
           DBOS is known here and nowhere else.
Tests:     `tests/flow`, `tests/faults`.
"""
