"""Bands: how sure the diagnosis is."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import Field, model_validator

from app.decision.decision import Allows, Situation, Verdict
from app.diagnosis.choose import ESCALATE
from app.diagnosis.diagnosis import UNKNOWN
from app.foundation.record import Record


class Bands:
    """Lets the sure act, the likely ask, and holds back guesses and unknown kinds.

    A person who approved saw the evidence, so their yes stands in for confidence of any height.
    """

    id: ClassVar[str] = "bands"

    class Params(Record):
        """Probabilities, each the lowest of its band."""

        act: float = Field(0.75, ge=0, le=1)
        ask: float = Field(0.50, ge=0, le=1)

        @model_validator(mode="after")
        def _in_order(self) -> "Bands.Params":
            if self.ask > self.act:
                raise ValueError("ask lies above act, so nothing would ever ask")
            return self

    class Reason(StrEnum):
        SURE = "bands.sure"
        LIKELY = "bands.likely"
        GUESS = "bands.guess"
        UNKNOWN = "bands.unknown_type"
        APPROVED = "bands.approved"
        TELLS_ONLY = "bands.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        params, diagnosis = self.params, situation.diagnosis
        sure = f"{diagnosis.type} has a confidence of {diagnosis.confidence:g}"
        if situation.plan.strategy == ESCALATE:
            return self._verdict(Allows.ALLOW, self.Reason.TELLS_ONLY, "telling a person needs no confidence")
        if situation.approved_by:
            says = f"{situation.approved_by} approved it and saw how sure the diagnosis is"
            return self._verdict(Allows.ALLOW, self.Reason.APPROVED, says)
        if diagnosis.type == UNKNOWN:
            says = "the kind of error is unknown, and nothing is repaired on a guess"
            return self._verdict(Allows.BLOCK, self.Reason.UNKNOWN, says)
        if diagnosis.confidence >= params.act:
            return self._verdict(Allows.ALLOW, self.Reason.SURE, f"{sure}, at least {params.act:g}")
        if diagnosis.confidence >= params.ask:
            says = f"{sure}, below the {params.act:g} that acting alone takes"
            return self._verdict(Allows.ASK, self.Reason.LIKELY, says)
        says = f"{sure}, below the {params.ask:g} that a proposal takes"
        return self._verdict(Allows.BLOCK, self.Reason.GUESS, says)

    def _verdict(self, allows: Allows, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says)
