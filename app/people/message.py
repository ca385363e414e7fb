"""What people are told: a message says what just happened, a card how an incident stands now."""

from datetime import datetime
from typing import Literal

from app.foundation.ids import derived_id
from app.foundation.record import Record

Kind = Literal["escalated", "waiting", "reminder", "undone", "stuck", "handed_over", "stopped", "verified"]
# After these somebody has to do something; the others only tell.
NEEDS_A_PERSON: tuple[Kind, ...] = ("escalated", "waiting", "undone", "stuck", "handed_over", "stopped")
EVERY_KIND: tuple[Kind, ...] = (*NEEDS_A_PERSON, "reminder", "verified")


class Message(Record):
    """`kind` is one of `Kind`; `text` is what a person reads.

    about    what makes it this message (an approval's, a decision's or a remediation's id): of one kind about
             one thing there is one message, however often it is told.
    owners   whose matter it is: the target's owner, then the cited runbook's.
    """

    kind: str
    incident_id: str
    title: str
    text: str
    about: str
    url: str = ""
    owners: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The same for the same message, however often it is told."""
        return derived_id("msg", self.kind, self.about, self.incident_id)


class Fix(Record):
    """A plan in words. `undo` is None when nothing can be taken back."""

    strategy: str
    summary: str
    steps: tuple[str, ...]
    risk: str
    undo: str | None


class Question(Record):
    """A plan that waits for a person. `others` are the strategies that could be asked about instead."""

    approval_id: str
    plan_hash: str
    fix: Fix
    says: str
    waits_for: str
    expires_at: datetime
    others: tuple[str, ...] = ()


class Card(Record):
    """How one incident stands: what each channel that keeps one thing per incident shows of it.

    confidence   0 to 1, calibrated; None before any diagnosis.
    types        the other types that it could be, the likeliest first.
    evidence     at most three lines, what counted most first.
    question     what waits for an answer now; None when nothing does.
    said         the last answer in words: by whom, when, why; empty when there is none.
    ended        how the last repair ended, in words; empty when none has.
    undoable     the remediation that a person may have undone now; empty when there is none.
    """

    incident_id: str
    title: str
    where: str
    environment: str
    severity: str
    state: str
    since: datetime
    last: datetime
    events: int
    url: str = ""
    type: str = ""
    confidence: float | None = None
    types: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    question: Question | None = None
    said: str = ""
    ended: str = ""
    undoable: str = ""
    owners: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nobody need do anything about it any more."""
        return self.state in ("resolved", "suppressed")
