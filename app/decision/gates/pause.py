"""Pause: whether a person has stopped everything."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from app.decision.decision import Allows, Situation, Verdict
from app.foundation.record import Record


class Pause:
    """Holds everything back while a person has paused repairs; not even an approval passes."""

    id: ClassVar[str] = "pause"

    class Params(Record):
        """Nothing to set: people pause and resume."""

    class Reason(StrEnum):
        RUNNING = "pause.running"
        PAUSED = "pause.paused"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        if situation.paused:
            return self._verdict(Allows.BLOCK, self.Reason.PAUSED, f"all repairs are {situation.paused}")
        return self._verdict(Allows.ALLOW, self.Reason.RUNNING, "nobody has paused repairs")

    def _verdict(self, allows: Allows, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says)
