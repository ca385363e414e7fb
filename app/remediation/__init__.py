"""Remediation: a repair is a transaction: plan, snapshot, act, verify, undo when it did not help.

Comes in:  a `Decision` to act, or an approval of its plan.
Goes out:  an `Outcome`: verified, undone, or left to a person with the reason.
Words:     a *strategy* knows how to plan, snapshot, execute one step, recall, verify and roll
           back. It knows nothing of order, time-outs, recording or approval: `remediate`
           owns those. A *receipt* is what a step left behind.
Acting:    three beats. Store the intent with its key and commit; act with no session open,
           handing the key to the far side; store the receipt and commit. An intent without a
           receipt is recalled first, never executed again blindly.
Playbooks: a plan may have actions, each a plan of one strategy. `parts` cuts it up: every try of
           every action has places of its own in the journal, and `remediate` goes through them.
Left:      `overdue` takes back what was granted for a time, whatever became of the repair.
Add a strategy: one file in `strategies/`, one line in its `__init__.py`, an entry in
           `knowledge/taxonomy.yaml`, a test; the contract and fault suites find it.
Tests:     `tests/remediation`, `tests/contracts/test_strategies.py`, `tests/faults`.
"""
