"""Cooldown: what was tried on the same target lately."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from app.decision.decision import Allows, Situation, Verdict
from app.diagnosis.choose import ESCALATE
from app.foundation.record import Record

# As in remediation's `Ended`, which this room is not to know: nothing was done at all.
_NOTHING_DONE = "stopped"


class Cooldown:
    """Holds a target back that was acted on often, with whatever repair.

    A repair still under way counts as one try but is no reason by itself: its claim lets only
    one at a time run on a target. Of a playbook each action counts, and each of its targets must have rested.
    """

    id: ClassVar[str] = "cooldown"

    class Params(Record):
        """`most` tries on one target within `window`, which attempts of 24 hours can fill."""

        window: timedelta = Field(timedelta(minutes=30), gt=timedelta(0), le=timedelta(hours=24))
        most: int = Field(2, ge=1, le=100)

    class Reason(StrEnum):
        RESTED = "cooldown.rested"
        RECENTLY_TRIED = "cooldown.recently_tried"
        TELLS_ONLY = "cooldown.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        plan = situation.plan
        if plan.strategy == ESCALATE:
            return self._allow(self.Reason.TELLS_ONLY, "telling a person wears nothing out")
        verdicts = [self._of(target, situation, now) for target in plan.targets]
        held = [verdict for verdict in verdicts if verdict.allows is Allows.BLOCK]
        return max(held, key=lambda verdict: verdict.until or now) if held else verdicts[0]

    def _of(self, target: str, situation: Situation, now: datetime) -> Verdict:
        params = self.params
        # An attempt from the future, after the clock jumped back, counts as recent.
        tried = sorted(
            attempt.started_at
            for attempt in situation.attempts
            if (times := attempt.times_on(target))
            and attempt.strategy != ESCALATE
            and attempt.ended != _NOTHING_DONE
            and now - attempt.started_at < params.window
            for _ in range(times)
        )
        if len(tried) >= params.most:
            minutes = params.window.total_seconds() / 60
            return Verdict(
                gate=self.id,
                allows=Allows.BLOCK,
                reason=self.Reason.RECENTLY_TRIED.value,
                says=f"{_named(target)} was acted on {len(tried)} times in {minutes:g} minutes",
                until=tried[-params.most] + params.window,
            )
        says = f"{_named(target)} was acted on {len(tried)} times lately, fewer than {params.most}"
        return self._allow(self.Reason.RESTED, says)

    def _allow(self, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=Allows.ALLOW, reason=reason.value, says=says)


def _named(target: str) -> str:
    return target or "a target without a name"
