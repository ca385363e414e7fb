"""Cap: how much is being repaired everywhere."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from app.decision.decision import Allows, Attempt, Situation, Verdict
from app.diagnosis.choose import ESCALATE
from app.foundation.record import Record

_HOUR = timedelta(hours=1)
# As in remediation's `Ended`, which this room is not to know: it never started.
_NOTHING_DONE = "stopped"


class Cap:
    """Stops a storm: at most so many repairs begun per hour, with one strategy and in all."""

    id: ClassVar[str] = "cap"

    class Params(Record):
        """Repairs begun within an hour."""

        per_strategy: int = Field(10, ge=1, le=10_000)
        per_site: int = Field(50, ge=1, le=10_000)

    class Reason(StrEnum):
        ROOM = "cap.room"
        STRATEGY = "cap.strategy"
        SITE = "cap.site"
        TELLS_ONLY = "cap.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        strategy, params = situation.plan.strategy, self.params
        if strategy == ESCALATE:
            return self._allow(self.Reason.TELLS_ONLY, "telling a person is never too much")
        recent = [
            attempt
            for attempt in situation.attempts
            if now - attempt.started_at < _HOUR
            and attempt.strategy != ESCALATE
            and attempt.ended != _NOTHING_DONE
        ]
        same = [a for a in recent if a.strategy == strategy]
        held: list[Verdict] = []
        if len(same) >= params.per_strategy:
            says = (
                f"{strategy} was begun {len(same)} times in the last hour, of {params.per_strategy} at most"
            )
            held.append(self._block(self.Reason.STRATEGY, says, _room_at(same, params.per_strategy)))
        if len(recent) >= params.per_site:
            says = f"{len(recent)} repairs were begun in the last hour, of {params.per_site} at most"
            held.append(self._block(self.Reason.SITE, says, _room_at(recent, params.per_site)))
        if held:
            return max(held, key=lambda verdict: verdict.until or now)
        counts = (
            f"{len(same)} of {params.per_strategy} with {strategy}, {len(recent)} of {params.per_site} in all"
        )
        return self._allow(self.Reason.ROOM, f"begun in the last hour: {counts}")

    def _allow(self, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=Allows.ALLOW, reason=reason.value, says=says)

    def _block(self, reason: Reason, says: str, until: datetime) -> Verdict:
        return Verdict(gate=self.id, allows=Allows.BLOCK, reason=reason.value, says=says, until=until)


def _room_at(attempts: Sequence[Attempt], most: int) -> datetime:
    """When so many have passed out of the hour that one more is possible."""
    return sorted(attempt.started_at for attempt in attempts)[-most] + _HOUR
