"""Policy: what the site's own rules say."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from app.decision.decision import Allows, Situation, Verdict
from app.decision.policy import PolicySource, Rule
from app.foundation.errors import Invalid
from app.foundation.record import Record

_STRICTNESS = tuple(Allows)


class Policy:
    """Applies the rules of the policy file; all that match count and the strictest wins.

    Without a readable policy everything asks, approved or not: a rule that nobody can read
    may be one that blocks, and no approval passes that.
    """

    id: ClassVar[str] = "policy"

    class Params(Record):
        """Nothing to set: the file says it all."""

    class Reason(StrEnum):
        NO_RULE = "policy.no_rule"
        ALLOWS = "policy.allows"
        ASKS = "policy.asks"
        BLOCKS = "policy.blocks"
        APPROVED = "policy.approved"
        UNREADABLE = "policy.unreadable"

    def __init__(self, params: Params, source: PolicySource) -> None:
        self.params = params
        self._source = source

    def check(self, situation: Situation, now: datetime) -> Verdict:
        try:
            rules = self._source.read().matching(situation, now)
        except Invalid as error:
            place = "".join(f" ({where}: {what})" for where, what in error.places[:1])
            says = f"the policy cannot be read, so everything asks: {error.says}{place}"
            return self._verdict(Allows.ASK, self.Reason.UNREADABLE, says)
        if not rules:
            return self._verdict(Allows.ALLOW, self.Reason.NO_RULE, "no rule of the policy speaks of this")
        strictest = max((rule.then for rule in rules), key=_STRICTNESS.index)
        says = self._cited([rule for rule in rules if rule.then is strictest])
        people = max(rule.people for rule in rules)
        author = any(rule.not_by for rule in rules)
        if strictest is Allows.ASK and situation.approved_by:
            says += f", and {situation.approved_by} approved it"
            if max(1, situation.approvers) >= people:
                return self._verdict(Allows.ALLOW, self.Reason.APPROVED, says)
        reason = {
            Allows.ALLOW: self.Reason.ALLOWS,
            Allows.ASK: self.Reason.ASKS,
            Allows.BLOCK: self.Reason.BLOCKS,
        }[strictest]
        if strictest is Allows.ASK:
            says += "; two different persons must approve" if people > 1 else ""
            says += "; not whoever made the change" if author else ""
            return self._verdict(Allows.ASK, self.Reason.ASKS, says, people, author)
        return self._verdict(strictest, reason, says)

    def _cited(self, rules: list[Rule]) -> str:
        first, *rest = rules
        others = f" (so do {', '.join(repr(rule.name) for rule in rest)})" if rest else ""
        return f"the policy's rule {first.name!r} says {first.then}{others}: {first.because}"

    def _verdict(
        self, allows: Allows, reason: Reason, says: str, people: int = 1, author: bool = False
    ) -> Verdict:
        return Verdict(
            gate=self.id,
            allows=allows,
            reason=reason.value,
            says=says,
            people=people,
            not_by_author=author,
        )
