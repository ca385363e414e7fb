"""Breaker: whether a strategy has been failing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field, model_validator

from app.decision.decision import Allows, Attempt, Situation, Verdict
from app.diagnosis.choose import ESCALATE
from app.foundation.record import Record

# As in remediation's `Ended`, which this room is not to know. What was handed over or never started
# says nothing of the strategy.
_HELPED, _FAILED = "verified", ("undone", "stuck")


class Breaker:
    """Stops a strategy that keeps failing; after a rest a person may let one trial run.

    A trial that helps closes the breaker, one that fails begins the rest anew. (Nygard, "Release
    It!", 2007, "Circuit Breaker".)
    """

    id: ClassVar[str] = "breaker"

    class Params(Record):
        """Opens when `failed` of the last `of` outcomes failed, and rests for `rest`."""

        failed: int = Field(3, ge=1, le=50)
        of: int = Field(5, ge=1, le=50)
        rest: timedelta = Field(timedelta(minutes=30), gt=timedelta(0), le=timedelta(days=7))

        @model_validator(mode="after")
        def _can_open(self) -> "Breaker.Params":
            if self.failed > self.of:
                raise ValueError("failed is more than of, so it would never open")
            return self

    class Reason(StrEnum):
        CLOSED = "breaker.closed"
        OPEN = "breaker.open"
        HALF_OPEN = "breaker.half_open"
        TRIAL = "breaker.trial"
        TRIED = "breaker.tried"
        TELLS_ONLY = "breaker.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        strategy = situation.plan.strategy
        if strategy == ESCALATE:
            return self._verdict(Allows.ALLOW, self.Reason.TELLS_ONLY, "telling a person does not fail")
        opened = self._opened([a for a in situation.trials if a.strategy == strategy])
        if opened is None:
            return self._verdict(Allows.ALLOW, self.Reason.CLOSED, f"{strategy} has not been failing lately")
        says = f"{strategy} failed too often, last at {opened:%Y-%m-%d %H:%M} UTC"
        if now < (until := opened + self.params.rest):
            return self._verdict(Allows.BLOCK, self.Reason.OPEN, f"{says}, and rests", until)
        if any(a.ended is None and a.strategy == strategy for a in situation.attempts):
            return self._verdict(
                Allows.BLOCK, self.Reason.TRIED, f"{says}, and a repair with it is under way"
            )
        if situation.approved_by:
            says += f"; {situation.approved_by} lets it try once"
            return self._verdict(Allows.ALLOW, self.Reason.TRIAL, says)
        return self._verdict(Allows.ASK, self.Reason.HALF_OPEN, f"{says}; a person may let it try once")

    def _opened(self, trials: Sequence[Attempt]) -> datetime | None:
        """When the last failure that keeps the breaker open ended; None while it is closed."""
        opened: datetime | None = None
        recent: list[bool] = []
        for trial in sorted(trials, key=_end):
            failed = trial.ended in _FAILED
            if not failed and trial.ended != _HELPED:
                continue
            if opened is not None:
                opened, recent = (_end(trial) if failed else None), []
                continue
            recent = [*recent, failed][-self.params.of :]
            if sum(recent) >= self.params.failed:
                opened = _end(trial)
        return opened

    def _verdict(self, allows: Allows, reason: Reason, says: str, until: datetime | None = None) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says, until=until)


def _end(trial: Attempt) -> datetime:
    return trial.ended_at or trial.started_at
