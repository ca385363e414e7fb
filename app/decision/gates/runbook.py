"""Runbook: what the runbook that recommended the plan's strategy asks for."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from app.decision.decision import Allows, Situation, Verdict
from app.foundation.record import Record


class Runbook:
    """Asks as many persons as the runbook whose recommendation is followed says under `approval`."""

    id: ClassVar[str] = "runbook"

    class Params(Record):
        """Nothing to set: the runbook's front matter says it."""

    class Reason(StrEnum):
        NONE = "runbook.none"
        AUTO = "runbook.auto"
        ASKS = "runbook.asks"
        APPROVED = "runbook.approved"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        choices = situation.diagnosis.choices
        chosen = next((choice for choice in choices if choice.strategy == situation.plan.strategy), None)
        if chosen is None or not chosen.runbook:
            return self._verdict(Allows.ALLOW, self.Reason.NONE, "no runbook recommended it")
        name = chosen.runbook.partition("#")[0]
        if not chosen.people:
            return self._verdict(Allows.ALLOW, self.Reason.AUTO, f"the runbook {name} asks nobody")
        wanted = "two persons'" if chosen.people > 1 else "a person's"
        says = f"the runbook {name} wants {wanted} approval"
        if situation.approved_by and max(1, situation.approvers) >= chosen.people:
            says += f", and {situation.approved_by} approved it"
            return self._verdict(Allows.ALLOW, self.Reason.APPROVED, says)
        return self._verdict(Allows.ASK, self.Reason.ASKS, says, chosen.people)

    def _verdict(self, allows: Allows, reason: Reason, says: str, people: int = 1) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says, people=people)
