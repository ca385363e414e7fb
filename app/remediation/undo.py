"""Undo: a person takes an ended repair back, once, while that is still possible.

What they ask for is a row; the durable engine does the rest, once nothing else acts on the repair's targets. The
far side must still be as the receipts left it: each strategy's rollback refuses otherwise.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.decision.plan import Plan
from app.foundation.errors import Conflict, NotFound
from app.foundation.record import Record
from app.people import store as people_
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from app.remediation.parts import parts
from app.remediation.store import Entry, Kind, Remediation
from app.remediation.tables import UndoRow

# Ends after which something may stand that nobody took back.
_LEFT_SOMETHING = (Ended.VERIFIED, Ended.HANDED_OVER)


class CannotBeUndone(Conflict):
    code = "cannot_be_undone"


class Undo(Record):
    """Who asked for it, and how it ended: `done` says whether all is as before; None while it is under way."""

    remediation_id: str
    actor: str
    reason: str
    asked_at: datetime
    done: bool | None = None
    ended_at: datetime | None = None
    says: str = ""


def standing(plan: Plan, journal: Sequence[Entry]) -> list[int]:
    """The parts that may have done something which was not taken back, in order."""
    taken_back = {
        entry.step
        for entry in journal
        if entry.kind is Kind.UNDO and orjson.loads(entry.body).get("how") != "failed"
    }
    begun = [entry.step for entry in journal if entry.kind is Kind.INTENT]
    return [
        part.nth
        for part in parts(plan)
        if part.nth not in taken_back and any(part.holds(place) for place in begun)
    ]


def refusal(
    remediation: Remediation, outcome: Outcome | None, journal: Sequence[Entry], asked: Undo | None
) -> str:
    """Why it cannot be undone, as far as its record tells; empty when it can."""
    if asked is not None:
        return f"{asked.actor} asked for it already, at {asked.asked_at:%Y-%m-%d %H:%M:%S} UTC"
    if outcome is None:
        return "it is under way"
    whole = parts(remediation.plan)
    left = [whole[nth].plan for nth in standing(remediation.plan, journal)]
    if not left or outcome.ended not in _LEFT_SOMETHING:
        return f"it ended {outcome.ended}, and nothing that it did stands"
    if any(plan.undo is None for plan in left):
        return "what it did cannot be taken back"
    if not any(plan.undoes for plan in left):
        return "there is nothing to undo"
    return ""


def ask(
    session: Session, remediation_id: str, *, actor: str, reason: str, at: datetime, within: timedelta
) -> Undo:
    """Records the wish. Raises NotFound, or CannotBeUndone with the reason.

    `within` is how long backups are kept after the repair ended.
    """
    remediation = store.get(session, remediation_id)
    outcome = store.outcome(session, remediation_id)
    journal = store.journal(session, remediation_id)
    why = refusal(remediation, outcome, journal, find(session, remediation_id))
    if not why and outcome is not None and at >= outcome.at + within:
        why = f"its backups were kept for {within.days} days only"
    if why:
        raise CannotBeUndone(f"{remediation_id} cannot be undone: {why}")
    session.add(UndoRow(remediation_id=remediation_id, actor=actor, reason=reason, asked_at=at))
    people_.changed(session, remediation.incident_id)
    said = Undo(remediation_id=remediation_id, actor=actor, reason=reason, asked_at=at)
    because = f": {reason}" if reason else ""
    body = said.model_copy(update={"says": f"{actor} had it undone{because}"}).model_dump_json()
    store.note(session, remediation_id, Kind.ASKED, 0, at, body)
    try:
        session.flush()
    except IntegrityError:
        raise CannotBeUndone("somebody else asked for it in the same moment") from None
    return said


def find(session: Session, remediation_id: str) -> Undo | None:
    """What was asked, None when nobody did."""
    row = session.get(UndoRow, remediation_id)
    if row is None:
        return None
    return Undo(
        remediation_id=row.remediation_id,
        actor=row.actor,
        reason=row.reason,
        asked_at=row.asked_at,
        done=None if row.waiting else row.done,
        ended_at=row.ended_at,
        says=row.says,
    )


def waiting(session: Session, limit: int = 100) -> list[str]:
    """The remediations whose undoing has not ended."""
    return list(session.exec(select(UndoRow.remediation_id).where(col(UndoRow.waiting)).limit(limit)).all())


def end(session: Session, remediation_id: str, *, done: bool, says: str, at: datetime) -> Undo:
    """Stores how it ended; the first end stands. Raises NotFound when nobody asked."""
    row = session.get(UndoRow, remediation_id)
    if row is None:
        raise NotFound(f"nobody asked to undo {remediation_id}")
    if row.waiting:
        row.waiting, row.done, row.says, row.ended_at = False, done, says, at
        session.add(row)
        session.flush()
    found = find(session, remediation_id)
    assert found is not None
    return found
