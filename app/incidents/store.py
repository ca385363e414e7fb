"""Queries on incidents, their events and transitions. Each takes a session and commits nothing."""

import zlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Integer, Row, bindparam, cast, literal, tuple_, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from app.db import read
from app.db.engine import UtcDateTime
from app.foundation.errors import Invalid, NotFound
from app.foundation.record import Record
from app.incidents import words
from app.incidents.incident import Incident, Reason, State, Transition
from app.incidents.tables import EventLogRow, EventRow, IncidentRow, TransitionRow
from app.intake.event import Event, Report, Severity, Target

_MOST_MATCHES = 2_500  # that one page of a search with filters looks at
_MOST_PLACES, _MOST_NAMES = 20_000, 200


def incident_of(row: IncidentRow) -> Incident:
    """The record of a row."""
    return Incident(
        id=row.id,
        group_key=row.group_key,
        state=State(row.state),
        episode=row.episode,
        title=row.title,
        message=row.message,
        template=row.template,
        severity=Severity(row.severity),
        target=Target.model_validate_json(row.target),
        source=row.source,
        job_id=row.job_id,
        run_id=row.run_id,
        events=row.events,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        why=tuple(Reason.model_validate(reason) for reason in orjson.loads(row.why)),
    )


def get(session: Session, incident_id: str) -> Incident:
    """The incident; raises NotFound."""
    row = read.row(session, IncidentRow, incident_id)
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    return incident_of(row)


class Only(Record):
    """Which incidents a list shows; what is empty or None leaves nothing out.

    `since`: last seen then or later. `search`: words that must be said, see `words`.
    """

    state: State | None = None
    type: str = ""
    system: str = ""
    owner: str = ""
    environment: str = ""
    severity: Severity | None = None
    since: datetime | None = None
    search: str = ""


EVERY = Only()
_BY = ("type", "system", "owner", "environment", "severity")


def page(
    session: Session,
    only: Only = EVERY,
    *,
    limit: int = 25,
    after: str = "",
    looks: int = _MOST_MATCHES,
) -> tuple[list[Incident], str]:
    """Incidents and the cursor of the next page ("" on the last): last seen first, in a search opened last first.

    Keyset paging: the cost does not grow with the page's depth. `after` is a cursor that an
    earlier call gave; raises Invalid when it is not. A search beside filters looks at so many matches a page:
    when they are mostly filtered out, the page is not full, and the cursor looks on from there.
    """
    if only.search:
        return _searched(session, only, limit, after, looks)
    query = _filtered(select(IncidentRow.id, IncidentRow.last_seen), only)
    if after:
        seen, incident_id = _read_cursor(after)
        # A row value, not an OR: only this is answered by a seek in the index.
        position = tuple_(col(IncidentRow.last_seen), col(IncidentRow.id))
        bound = (literal(seen, UtcDateTime), literal(incident_id))
        query = query.where(position < tuple_(*bound))
    query = query.order_by(col(IncidentRow.last_seen).desc(), col(IncidentRow.id).desc()).limit(limit + 1)
    rows = session.exec(query).all()
    more = rows[limit - 1] if len(rows) > limit else None
    found = _of([id_ for id_, _ in rows[:limit]], session)
    return found, f"{more[1].isoformat()}~{more[0]}" if more else ""


def _filtered(query: Any, only: Only, *, free: bool = True) -> Any:
    """The query with these filters; without `free` not by the indexes that the state or the time has."""
    named = [(name, value) for name in _BY if (value := getattr(only, name))]
    for name, value in named:
        query = query.where(getattr(IncidentRow, name) == value)
    if only.state is not None:
        # With other filters beside it not as it is: SQLite would look up each row that the state's own index names.
        column = col(IncidentRow.state)
        query = query.where((column if free and not named else column.concat("")) == only.state.value)
    if only.since is not None:
        seen = col(IncidentRow.last_seen) if free else cast(IncidentRow.last_seen, UtcDateTime)
        query = query.where(seen >= only.since)
    return query


def _of(ids: Sequence[str], session: Session) -> list[Incident]:
    """The incidents in the order of their ids."""
    rows = session.exec(select(IncidentRow).where(col(IncidentRow.id).in_(ids))).all() if ids else ()
    known = {row.id: row for row in rows}
    return [incident_of(known[id_]) for id_ in ids]


def _searched(session: Session, only: Only, limit: int, after: str, looks: int) -> tuple[list[Incident], str]:
    filters = only.model_copy(update={"search": ""})
    most = limit + 1 if filters == EVERY else looks
    said = words.newest(session, only.search, after, most)
    if said is None:
        return [], ""
    query = select(said.c.place, said.c.incident_id)
    if filters != EVERY:
        query = _filtered(
            query.join(IncidentRow, col(IncidentRow.id) == said.c.incident_id), filters, free=False
        )
    rows = session.exec(query.order_by(said.c.place.desc()).limit(limit + 1)).all()
    found = _of([id_ for _, id_ in rows[:limit]], session)
    if len(rows) > limit:
        return found, str(rows[limit - 1][0])
    looked, last = session.execute(columns(func.count(), func.min(said.c.place))).one()
    return found, str(last) if looked == most else ""


class Places(Record):
    """What the newest incidents' targets are called, to choose a filter from."""

    systems: tuple[str, ...]
    owners: tuple[str, ...]
    environments: tuple[str, ...]


def places(session: Session) -> Places:
    """Of the newest 20,000 incidents, at most 200 names of each kind."""
    named = (IncidentRow.system, IncidentRow.owner, IncidentRow.environment)
    newest = select(*named).order_by(col(IncidentRow.last_seen).desc()).limit(_MOST_PLACES).subquery()
    rows = session.execute(select(*newest.c).distinct()).all()
    return Places(
        **{
            name: tuple(sorted({row[at] for row in rows if row[at]})[:_MOST_NAMES])
            for at, name in enumerate(Places.model_fields)
        }
    )


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    seen, _, incident_id = cursor.partition("~")
    try:
        at = datetime.fromisoformat(seen)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not incident_id:
        raise Invalid("this is no cursor of ours", places=(("after", "take it from the last page's `next`"),))
    return at, incident_id


def counts(session: Session, states: Collection[State] = frozenset(State)) -> dict[State, int]:
    """How many incidents are in each of these states."""
    query = select(IncidentRow.state, func.count()).group_by(IncidentRow.state)
    if len(states) < len(State):
        query = query.where(col(IncidentRow.state).in_([state.value for state in states]))
    return {State(state): count for state, count in session.exec(query).all()}


_EVENTS = (
    columns(*read.table_of(EventRow).c)
    .where(col(EventRow.incident_id) == bindparam("incident"))
    .order_by(col(EventRow.received_at).desc(), col(EventRow.id).desc())
    .limit(bindparam("most", type_=Integer))
)
_LOG = (
    columns(col(EventLogRow.log))
    .join(EventRow, col(EventRow.id) == EventLogRow.event_id)
    .where(col(EventRow.incident_id) == bindparam("incident"))
    .order_by(col(EventRow.received_at).desc())
    .limit(1)
)


def events(session: Session, incident_id: str, limit: int = 50) -> list[Event]:
    """The newest events of an incident, newest first, without their logs."""
    return [_event_of(row) for row in read.rows(session, _EVENTS, incident=incident_id, most=limit)]


def event(session: Session, event_id: str) -> tuple[Event, str | None]:
    """An event and its incident's id; raises NotFound."""
    row = session.get(EventRow, event_id)
    if row is None:
        raise NotFound(f"there is no event {event_id}")
    return _event_of(row), row.incident_id


def _event_of(row: EventRow | Row[Any]) -> Event:
    body = orjson.loads(row.body)
    template = body.pop("template")
    return Event(
        id=row.id,
        received_at=row.received_at,
        source=row.source,
        template=template,
        report=Report.model_validate(body),
    )


def log_of(session: Session, incident_id: str) -> str:
    """The newest log that came with an event of this incident; empty when none did."""
    found = read.rows(session, _LOG, incident=incident_id)
    return zlib.decompress(found[0].log).decode() if found else ""


def transitions(session: Session, incident_id: str) -> list[Transition]:
    """The incident's states in time order."""
    rows = session.exec(
        select(TransitionRow)
        .where(TransitionRow.incident_id == incident_id)
        .order_by(col(TransitionRow.at), col(TransitionRow.id))
    ).all()
    return [
        Transition(
            incident_id=row.incident_id,
            at=row.at,
            actor=row.actor,
            before=State(row.before) if row.before else None,
            after=State(row.after),
            reason=row.reason,
        )
        for row in rows
    ]


def episodes(session: Session, incident_ids: Sequence[str]) -> dict[str, int]:
    """The episode in which each of these incidents is."""
    query = select(IncidentRow.id, IncidentRow.episode).where(col(IncidentRow.id).in_(incident_ids))
    return dict(session.exec(query).all())


def unhandled(session: Session, limit: int = 100, *, newest: bool = False) -> Sequence[tuple[str, int]]:
    """(incident id, episode) of firing incidents whose episode the pipeline has not begun.

    Oldest first, or newest first; an id tells when an incident was first seen.
    """
    by = col(IncidentRow.id)
    rows = session.exec(
        select(IncidentRow.id, IncidentRow.episode)
        .where(IncidentRow.state == State.FIRING.value)
        .where(col(IncidentRow.handled_episode) < col(IncidentRow.episode))
        .order_by(by.desc() if newest else by)
        .limit(limit)
    ).all()
    return [(incident_id, episode) for incident_id, episode in rows]


_MARK_HANDLED = (
    update(IncidentRow)
    .where(col(IncidentRow.id) == bindparam("incident"))
    .where(col(IncidentRow.handled_episode) < bindparam("begun"))
    .values(handled_episode=bindparam("begun"))
)


def mark_handled(session: Session, incident_id: str, episode: int) -> None:
    """Notes that the pipeline has begun with this episode."""
    session.connection().execute(_MARK_HANDLED, {"incident": incident_id, "begun": episode})
