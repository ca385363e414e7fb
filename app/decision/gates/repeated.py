"""Repeated: whether the same target is being repaired over and over."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from app.decision.decision import Allows, Situation, Verdict
from app.diagnosis.choose import ESCALATE
from app.foundation.record import Record

# As in remediation's `Ended`, which this room is not to know: nothing was done at all.
_NOTHING_DONE = "stopped"


class Repeated:
    """Ends loops: a repair that a target had lately is not run again, nor is a chain of repairs made longer.

    Whether an earlier one was verified does not count, and neither does what the events say: that the
    target needs repairing again shows that it did not hold. One under way has not ended and is no repeat.
    The actions of a playbook are repairs of their kind; in a chain it is one link, of each target it acted on.
    """

    id: ClassVar[str] = "repeated"

    class Params(Record):
        """Repairs of one target that ended within `window`: `most` of one kind, `chain` of any kind."""

        window: timedelta = Field(timedelta(hours=6), gt=timedelta(0), le=timedelta(hours=24))
        most: int = Field(1, ge=1, le=1000)
        chain: int = Field(2, ge=1, le=1000)

    class Reason(StrEnum):
        FIRST = "repeated.first"
        AGAIN = "repeated.again"
        CHAIN = "repeated.chain"
        TELLS_ONLY = "repeated.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        plan = situation.plan
        if plan.strategy == ESCALATE:
            return self._allow(self.Reason.TELLS_ONLY, "telling a person may be repeated")
        verdicts = [self._of(*deed, situation, now) for deed in plan.deeds]
        held = [verdict for verdict in verdicts if verdict.allows is Allows.BLOCK]
        return max(held, key=lambda verdict: verdict.until or now) if held else verdicts[0]

    def _of(self, strategy: str, target: str, situation: Situation, now: datetime) -> Verdict:
        params = self.params
        # An attempt from the future, after the clock jumped back, counts as recent.
        done = sorted(
            (
                attempt
                for attempt in situation.attempts
                if attempt.times_on(target)
                and attempt.strategy != ESCALATE
                and attempt.ended not in (None, _NOTHING_DONE)
                and now - attempt.started_at < params.window
            ),
            key=lambda attempt: attempt.started_at,
        )
        same = [a for a in done for _ in range(a.deeds.count((strategy, target)))]
        hours = f"{params.window.total_seconds() / 3600:g} hours"
        held: list[Verdict] = []
        if len(same) >= params.most:
            before = ", ".join(f"{a.started_at:%H:%M} ({a.ended})" for a in same[-3:])
            says = f"{strategy} ran on {target} at {before} UTC: the same repair again within {hours}"
            held.append(self._block(self.Reason.AGAIN, says, same[-params.most].started_at))
        if len(done) >= params.chain:
            names = ", ".join(dict.fromkeys(attempt.strategy for attempt in done))
            says = f"{len(done)} repairs of {target} ({names}) did not hold within {hours}"
            held.append(self._block(self.Reason.CHAIN, says, done[-params.chain].started_at))
        if held:
            return max(held, key=lambda verdict: verdict.until or now)
        says = f"{target or 'a target without a name'} had {len(done)} repairs in {hours}, none like this"
        return self._allow(self.Reason.FIRST, says)

    def _allow(self, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=Allows.ALLOW, reason=reason.value, says=says)

    def _block(self, reason: Reason, says: str, since: datetime) -> Verdict:
        until = since + self.params.window
        return Verdict(gate=self.id, allows=Allows.BLOCK, reason=reason.value, says=says, until=until)
