"""Blast radius: how many targets of one group are under repair at once."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from app.decision.decision import Allows, Situation, Verdict
from app.diagnosis.choose import ESCALATE
from app.foundation.record import Record


class BlastRadius:
    """Lets only a share of a group's targets be under repair at once, and one of them always.

    A playbook under way is one of each of its targets; one that is to begin acts on one after the other, so
    that each of its targets is looked at as if it were alone.
    """

    id: ClassVar[str] = "blast_radius"

    class Params(Record):
        """`share` of the group's registered targets, rounded down."""

        share: float = Field(0.5, gt=0, le=1)

    class Reason(StrEnum):
        FEW = "blast_radius.few"
        MANY = "blast_radius.many"
        TELLS_ONLY = "blast_radius.tells_only"

    def __init__(self, params: Params) -> None:
        self.params = params

    def check(self, situation: Situation, now: datetime) -> Verdict:
        plan = situation.plan
        if plan.strategy == ESCALATE:
            return self._verdict(Allows.ALLOW, self.Reason.TELLS_ONLY, "telling a person touches no target")
        groups = {**situation.groups, plan.target: situation.group}
        verdicts = [self._of(target, set(groups.get(target, ())), situation) for target in plan.targets]
        return next((verdict for verdict in verdicts if verdict.allows is Allows.BLOCK), verdicts[0])

    def _of(self, target: str, group: set[str], situation: Situation) -> Verdict:
        most = max(1, int(self.params.share * len(group) + 1e-9))
        under_way = (attempt for attempt in situation.attempts if attempt.ended is None)
        busy = {other for attempt in under_way for _, other in attempt.deeds} & (group - {target})
        counts = f"{len(busy)} of the {len(group)} targets of its group are under repair, of {most} at most"
        if len(busy) < most:
            return self._verdict(Allows.ALLOW, self.Reason.FEW, counts)
        return self._verdict(Allows.BLOCK, self.Reason.MANY, f"{counts}: {', '.join(sorted(busy)[:5])}")

    def _verdict(self, allows: Allows, reason: Reason, says: str) -> Verdict:
        return Verdict(gate=self.id, allows=allows, reason=reason.value, says=says)
