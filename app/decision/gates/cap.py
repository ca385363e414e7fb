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
    """Stops a storm: at most so many repairs begun per hour, with one strategy, of one target and in all.

    Of a playbook each action counts with its strategy and of its target, and must have room as if it were
    alone; in all it is one repair. Begun with room left, it runs whole.
    """

    id: ClassVar[str] = "cap"

    class Params(Record):
        """Repairs begun within an hour."""

        per_strategy: int = Field(10, ge=1, le=10_000)
        per_target: int = Field(3, ge=1, le=10_000)
        per_site: int = Field(50, ge=1, le=10_000)

    class Reason(StrEnum):
        ROOM = "cap.room"
        STRATEGY = "cap.strategy"
        TARGET = "cap.target"
        SITE = "cap.site"
        TELLS_ONLY = "cap.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        plan, params = situation.plan, self.params
        if plan.strategy == ESCALATE:
            return self._allow(self.Reason.TELLS_ONLY, "telling a person is never too much")
        recent = [
            attempt
            for attempt in situation.attempts
            if now - attempt.started_at < _HOUR
            and attempt.strategy != ESCALATE
            and attempt.ended != _NOTHING_DONE
        ]
        counted = [
            *(
                (self.Reason.STRATEGY, f"with {name}", params.per_strategy, _with(recent, name))
                for name in dict.fromkeys(plan.strategies)
            ),
            *(
                (self.Reason.TARGET, f"of {target or 'no target'}", params.per_target, _of(recent, target))
                for target in plan.targets
            ),
            (self.Reason.SITE, "in all", params.per_site, recent),
        ]
        held = [
            self._block(
                reason,
                f"{len(those)} repairs were begun in the last hour {which}, of {most} at most",
                _room_at(those, most),
            )
            for reason, which, most, those in counted
            if len(those) >= most
        ]
        if held:
            return max(held, key=lambda verdict: verdict.until or now)
        counts = ", ".join(f"{len(those)} of {most} {which}" for _, which, most, those in counted)
        return self._allow(self.Reason.ROOM, f"begun in the last hour: {counts}")

    def _allow(self, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=Allows.ALLOW, reason=reason.value, says=says)

    def _block(self, reason: Reason, says: str, until: datetime) -> Verdict:
        return Verdict(gate=self.id, allows=Allows.BLOCK, reason=reason.value, says=says, until=until)


def _with(attempts: Sequence[Attempt], strategy: str) -> list[Attempt]:
    return [attempt for attempt in attempts for _ in range(attempt.times_with(strategy))]


def _of(attempts: Sequence[Attempt], target: str) -> list[Attempt]:
    return [attempt for attempt in attempts for _ in range(attempt.times_on(target))]


def _room_at(attempts: Sequence[Attempt], most: int) -> datetime:
    """When so many have passed out of the hour that one more is possible."""
    return sorted(attempt.started_at for attempt in attempts)[-most] + _HOUR
