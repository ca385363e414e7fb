"""Freeze: whether people have agreed that nothing changes now."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from app.decision.decision import Allows, Situation, Verdict
from app.decision.freeze import FreezeSource
from app.diagnosis.choose import ESCALATE
from app.foundation.errors import Invalid
from app.foundation.record import Record


class Freeze:
    """Holds everything back in a window of the freeze calendar; not even an approval passes.

    While the calendar cannot be read everything asks, approved or not: it may be a freeze now.
    """

    id: ClassVar[str] = "freeze"

    class Params(Record):
        """Nothing to set: the file says it all."""

    class Reason(StrEnum):
        OPEN = "freeze.open"
        FROZEN = "freeze.frozen"
        UNREADABLE = "freeze.unreadable"
        TELLS_ONLY = "freeze.tells_only"

    def __init__(self, params: Params, source: FreezeSource) -> None:
        self.params = params
        self._source = source

    def check(self, situation: Situation, now: datetime) -> Verdict:
        if situation.plan.strategy == ESCALATE:
            return self._verdict(Allows.ALLOW, self.Reason.TELLS_ONLY, "telling a person changes nothing")
        try:
            holding = self._source.read().holding(situation, now)
        except Invalid as error:
            place = "".join(f" ({where}: {what})" for where, what in error.places[:1])
            says = f"the freezes cannot be read, so everything asks: {error.says}{place}"
            return self._verdict(Allows.ASK, self.Reason.UNREADABLE, says)
        if not holding:
            return self._verdict(Allows.ALLOW, self.Reason.OPEN, "no freeze holds now")
        last = max(holding, key=lambda held: held.until)
        others = f" (and {len(holding) - 1} more)" if len(holding) > 1 else ""
        says = f"frozen until {last.until:%Y-%m-%d %H:%M} UTC by {last.name!r}{others}: {last.because}"
        return self._verdict(Allows.BLOCK, self.Reason.FROZEN, says, last.until)

    def _verdict(self, allows: Allows, reason: Reason, says: str, until: datetime | None = None) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says, until=until)
