"""Lifecycle: the only way in which an incident changes state."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from app.db import read
from app.db.bulk import add_once
from app.foundation.errors import Conflict, NotFound
from app.foundation.ids import new_id
from app.incidents.incident import OPEN, Incident, State
from app.incidents.store import incident_of
from app.incidents.tables import IncidentRow, TransitionRow
from app.people import store as people

_ALLOWED: dict[State, frozenset[State]] = {
    State.FIRING: frozenset({State.ACKNOWLEDGED, State.RESOLVED, State.SUPPRESSED}),
    State.ACKNOWLEDGED: frozenset({State.FIRING, State.RESOLVED, State.SUPPRESSED}),
    State.RESOLVED: frozenset({State.FIRING}),
    State.SUPPRESSED: frozenset({State.FIRING, State.RESOLVED}),
}


class IllegalTransition(Conflict):
    code = "illegal_transition"


class GroupIsOpen(Conflict):
    code = "group_is_open"


_ADVANCE = (
    update(IncidentRow)
    .where(col(IncidentRow.id) == bindparam("incident"))
    .values(state=bindparam("now"), open_key=bindparam("key"), episode=bindparam("of"))
)


def advance(
    session: Session, incident_id: str, to: State, *, actor: str, reason: str, at: datetime
) -> Incident:
    """Moves the incident to `to` and writes the transition; already there is a no-op.

    Raises NotFound, IllegalTransition naming both states, or GroupIsOpen when a newer incident
    of its group is. Leaving resolved begins a new episode.
    """
    row = read.row(session, IncidentRow, incident_id, lock=True)
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    before = State(row.state)
    if before is to:
        return incident_of(row)
    if to not in _ALLOWED[before]:
        raise IllegalTransition(f"an incident that is {before} cannot become {to}")
    if to in OPEN and before not in OPEN:
        other = session.exec(select(IncidentRow.id).where(IncidentRow.open_key == row.group_key)).first()
        if other is not None:
            raise GroupIsOpen(f"the same trouble is open as {other}; work on that one")
    episode = row.episode + (before is State.RESOLVED)
    open_key = row.group_key if to in OPEN else None
    now = {"incident": row.id, "now": to.value, "key": open_key, "of": episode}
    session.connection().execute(_ADVANCE, now)
    at = _after_all(session, row.id, at)
    add_once(session, transition(row.id, before, to, actor=actor, reason=reason, at=at))
    people.changed(session, row.id)
    return incident_of(row).model_copy(update={"state": to, "episode": episode})


_LAST = columns(func.max(col(TransitionRow.at))).where(
    col(TransitionRow.incident_id) == bindparam("incident")
)


def _after_all(session: Session, incident_id: str, at: datetime) -> datetime:
    """`at`, or a microsecond after the last transition: one batch has one time, and clocks jump back."""
    last = read.rows(session, _LAST, incident=incident_id)[0][0]
    return at if last is None or at > last else last + timedelta(microseconds=1)


def transition(
    incident_id: str, before: State | None, after: State, *, actor: str, reason: str, at: datetime
) -> TransitionRow:
    """The row of one change; for `advance`, and for `group`, which opens many at once."""
    return TransitionRow(
        id=new_id("tra", at),
        incident_id=incident_id,
        at=at,
        actor=actor,
        before=before.value if before else None,
        after=after.value,
        reason=reason,
    )
