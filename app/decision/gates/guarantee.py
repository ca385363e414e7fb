"""Guarantee: whether outcomes prove that the strategy may run alone."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from app.decision import guarantee
from app.decision.decision import Allows, Situation, Verdict
from app.decision.policy import PolicySource, Trust
from app.diagnosis.choose import ESCALATE
from app.foundation.errors import Invalid
from app.foundation.record import Record


class Guarantee:
    """Lets a strategy run alone once the bound on its wrong actions is under the promise; else it asks.

    Until then a site may trust it by name in its policy. A policy that cannot be read trusts nothing.
    """

    id: ClassVar[str] = "guarantee"

    class Params(Record):
        """`promise` is the share of wrong actions, `level` the confidence at which it is proven.

        Outcomes count whose diagnosis was at least `threshold` sure.
        """

        threshold: float = Field(0.75, ge=0, le=1)
        promise: float = Field(0.05, gt=0, lt=1)
        level: float = Field(0.95, gt=0, lt=1)

    class Reason(StrEnum):
        PROVEN = "guarantee.proven"
        TRUSTED = "guarantee.trusted"
        APPROVED = "guarantee.approved"
        UNPROVEN = "guarantee.unproven"
        TELLS_ONLY = "guarantee.tells_only"

    def __init__(self, params: Params, source: PolicySource) -> None:
        self.params = params
        self._source = source

    def check(self, situation: Situation, now: datetime) -> Verdict:
        params, strategy = self.params, situation.plan.strategy
        if strategy == ESCALATE:
            return self._verdict(Allows.ALLOW, self.Reason.TELLS_ONLY, "telling a person promises nothing")
        found = guarantee.guarantee(situation.judged, params.threshold, params.promise, params.level)
        says = f"{strategy}: {found.says}"
        if found.holds:
            return self._verdict(Allows.ALLOW, self.Reason.PROVEN, says)
        if trust := self._trust(situation, now):
            says += f"; till then the policy's {trust.name!r} trusts it: {trust.because}"
            return self._verdict(Allows.ALLOW, self.Reason.TRUSTED, says)
        if situation.approved_by:
            return self._verdict(
                Allows.ALLOW, self.Reason.APPROVED, f"{says}; {situation.approved_by} approved it"
            )
        return self._verdict(Allows.ASK, self.Reason.UNPROVEN, says)

    def _trust(self, situation: Situation, now: datetime) -> Trust | None:
        try:
            return self._source.read().trusting(situation, now)
        except Invalid:
            return None

    def _verdict(self, allows: Allows, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says)
