"""Escalate to human: leaves the incident to a person, with the evidence and the reasons.

Acts on: nothing; telling people is the pipeline's act, and this gives it a plan to do it under.
Risk:    none.
Undo:    nothing to undo.
Refuses: nothing; it also serves incidents without a registered target.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.remediation.strategy import NotDone, Receipt, Snapshot, Subject, Undone, Verified
from app.systems.targets import Targets


class NoParams(Record):
    pass


class EscalateToHuman:
    id: ClassVar[str] = "escalate_to_human"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.NONE
    Params: ClassVar[type[Record]] = NoParams

    def __init__(self, targets: Targets) -> None:
        """Needs no target."""

    def plan(self, subject: Subject, params: NoParams) -> Plan:
        target = "" if subject.target is None else subject.target.key
        owner = subject.target.owner if subject.target is not None else ""
        says = f"tell {owner or 'the people on call'}, with the evidence and the reasons"
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target,
            params={},
            summary=says,
            steps=(Step(index=0, says=says, does={}),),
            risk=self.risk,
            verify="a person was told",
            undo="nothing to undo",
            settle=0,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        return Snapshot()

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        return Receipt(step=step.index, says="left to a person")

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> NotDone:
        """Executing has no effect, so there is none to find and doing it again is safe."""
        return NotDone()

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified:
        return Verified(says="a person was told")

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone:
        return Undone(says="nothing to undo")
