"""Risk: how much harm the plan could do."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from app.decision import plan
from app.decision.decision import Allows, Situation, Verdict
from app.decision.policy import counted_risk
from app.diagnosis.choose import ESCALATE
from app.foundation.record import Record

_ORDER = tuple(plan.Risk)


class Risk:
    """Asks a person about plans of high risk; a plan that cannot be undone counts one level higher."""

    id: ClassVar[str] = "risk"

    class Params(Record):
        """`ask_from` and everything riskier asks. It can be set lower; high always asks."""

        ask_from: plan.Risk = plan.Risk.HIGH

    class Reason(StrEnum):
        BEARABLE = "risk.bearable"
        TOO_HIGH = "risk.too_high"
        APPROVED = "risk.approved"
        TELLS_ONLY = "risk.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        counted = counted_risk(situation.plan)
        says = f"the plan's risk is {situation.plan.risk}"
        if counted is not situation.plan.risk:
            says += f" and counts as {counted} because it cannot be undone"
        if situation.plan.strategy == ESCALATE:
            return self._verdict(Allows.ALLOW, self.Reason.TELLS_ONLY, "telling a person risks nothing")
        if _ORDER.index(counted) < _ORDER.index(self.params.ask_from):
            return self._verdict(Allows.ALLOW, self.Reason.BEARABLE, says)
        if situation.approved_by:
            says += f", and {situation.approved_by} approved it"
            return self._verdict(Allows.ALLOW, self.Reason.APPROVED, says)
        return self._verdict(Allows.ASK, self.Reason.TOO_HIGH, f"{says}, so a person decides")

    def _verdict(self, allows: Allows, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says)
