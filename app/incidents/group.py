"""Group: finds or opens the incident of each event, in the transaction that stores it."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from app.db.bulk import chunks, insert_rows, marks
from app.db.engine import Database, from_micros, to_micros
from app.foundation import metrics, traces
from app.foundation.clock import Clock
from app.foundation.ids import derived_id, new_id
from app.foundation.logging import log
from app.foundation.traces import Episode
from app.incidents import store, words
from app.incidents.groupers import GROUPERS
from app.incidents.incident import OPEN, State
from app.incidents.lifecycle import advance
from app.incidents.tables import EventLogRow, EventRow, IncidentRow, TransitionRow
from app.intake.event import Accepted, Event, Status

REOPEN_WITHIN = timedelta(hours=1)
_events = EventRow.__table__  # type: ignore[attr-defined]
_logs = EventLogRow.__table__  # type: ignore[attr-defined]
_incidents = IncidentRow.__table__  # type: ignore[attr-defined]
_transitions = TransitionRow.__table__  # type: ignore[attr-defined]


def group_key(event: Event) -> tuple[str, int]:
    """The key of the event's group and which grouper gave it."""
    for index, grouper in enumerate(GROUPERS):
        if parts := grouper.key(event):
            return derived_id("grp", grouper.id, *parts), index
    raise AssertionError("the template grouper always gives a key")


def _why(event: Event, chosen: int) -> str:
    return orjson.dumps(
        [
            {"grouper": grouper.id, "contributes": index == chosen, "hint": grouper.hint(event)}
            for index, grouper in enumerate(GROUPERS)
        ]
    ).decode()


class Group:
    """Stores events and their incidents; `opened` is called with what the pipeline should look at."""

    def __init__(self, database: Database, clock: Clock, opened: Callable[[Sequence[str]], None]) -> None:
        self._database = database
        self._clock = clock
        self._opened = opened

    def commit(self, events: Sequence[Event]) -> list[Accepted]:
        """Stores `events` in one transaction and says what became of each, in order.

        An event whose id is stored already is a duplicate and changes nothing. On Postgres
        another process may open the same group in the same moment; then we look again.
        """
        began = self._clock.now()
        for attempt in range(5):
            try:
                with self._database.writing() as session:
                    batch = _Batch(session)
                    accepted = batch.store(events)
                break
            except IntegrityError:
                if attempt == 4:
                    raise
        new = sum(not answer.duplicate for answer in accepted)
        metrics.EVENTS.inc(new)
        metrics.DUPLICATES.inc(len(events) - new)
        metrics.INCIDENTS.labels("opened").inc(len(batch.opened))
        metrics.INCIDENTS.labels("reopened").inc(len(batch.reopened))
        if traces.on():
            self._trace([*batch.opened, *batch.reopened], events, accepted, began)
        if begun := batch.begun():
            try:
                self._opened(begun)
            except Exception as error:
                # The events are durable and were promised; the sweep starts what this could not.
                log(__name__).error("group.opened_failed", incidents=len(begun), exc_info=error)
        return accepted

    def _trace(
        self, begun: Sequence[str], events: Sequence[Event], accepted: Sequence[Accepted], began: datetime
    ) -> None:
        """The first spans of every episode that began."""
        of: dict[str, list[Event]] = {incident_id: [] for incident_id in begun}
        for event, answer in zip(events, accepted, strict=True):
            if answer.incident_id in of:
                of[answer.incident_id].append(event)
        with self._database.reading() as session:
            numbers = store.episodes(session, begun)
        for incident_id, number in numbers.items():
            came_with = [event.came_with for event in of[incident_id] if event.came_with]
            received = min(event.received_at for event in of[incident_id])
            traces.opened(Episode(incident_id, number), received, began, self._clock.now(), came_with)


@dataclass(slots=True)
class _Current:
    """What this transaction knows of a group's newest incident."""

    id: str
    state: State
    last_seen: datetime


class _Batch:
    """The work of one transaction: everything is read at once and written at once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._connection = session.connection()
        self._groups: dict[str, _Current] = {}
        self._incidents: dict[str, _Current] = {}
        # Opened here and not yet written: the incident's row and its first transition.
        self._pending: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        # Written before and seen again: how often here, and when last.
        self._bumped: dict[str, tuple[int, datetime]] = {}
        self.opened: list[str] = []
        self.reopened: list[str] = []

    def begun(self) -> list[str]:
        """The incidents that began an episode here and are still open at the end."""
        return [
            incident_id
            for incident_id in dict.fromkeys([*self.opened, *self.reopened])
            if self._incidents[incident_id].state in OPEN
        ]

    def store(self, events: Sequence[Event]) -> list[Accepted]:
        known = self._known([event.id for event in events if event.report.delivery_key])
        keys = [group_key(event) for event in events]
        self._read_latest({key for key, _ in keys})
        event_rows: list[dict[str, Any]] = []
        log_rows: list[dict[str, Any]] = []
        accepted: list[Accepted] = []

        for event, (key, grouper) in zip(events, keys, strict=True):
            if event.id in known:
                accepted.append(Accepted(event_id=event.id, incident_id=known[event.id], duplicate=True))
                continue
            report = event.report
            if report.status is Status.RESOLVED:
                incident_id = self._recover(event, self._groups.get(key))
            else:
                incident_id = self._fire(event, key, grouper)
            known[event.id] = incident_id
            event_rows.append(_event_row(event, incident_id))
            if report.log:
                log_rows.append({"event_id": event.id, "log": zlib.compress(report.log.encode(), 1)})
            accepted.append(Accepted(event_id=event.id, incident_id=incident_id, duplicate=False))

        self._write_pending()
        insert_rows(self._connection, _events, event_rows)
        insert_rows(self._connection, _logs, log_rows)
        self._write_bumps()
        return accepted

    def _known(self, ids: Sequence[str]) -> dict[str, str | None]:
        """The incidents of those events that are stored already."""
        known: dict[str, str | None] = {}
        for chunk in chunks(ids):
            query = f"SELECT id, incident_id FROM event WHERE id IN ({marks(self._connection, len(chunk))})"
            known.update((id_, found) for id_, found in self._connection.exec_driver_sql(query, tuple(chunk)))
        return known

    def _read_latest(self, keys: set[str]) -> None:
        """The open incident of each group, else its newest."""
        for chunk in chunks(sorted(keys)):
            query = (
                "SELECT group_key, id, state, last_seen FROM incident "
                f"WHERE group_key IN ({marks(self._connection, len(chunk))}) "
                "ORDER BY open_key IS NOT NULL, last_seen"
            )
            for key, incident_id, state, seen in self._connection.exec_driver_sql(query, tuple(chunk)):
                self._remember(key, _Current(incident_id, State(state), from_micros(seen)))

    def _remember(self, key: str, current: _Current) -> None:
        self._groups[key] = self._incidents[current.id] = current

    def _fire(self, event: Event, key: str, grouper: int) -> str:
        """Counts the event to its group's incident; reopens that, or opens a new one, as needed."""
        current = self._groups.get(key)
        at = event.received_at
        if current is None or (
            current.state is State.RESOLVED and at - self._quiet_since(current, at) > REOPEN_WITHIN
        ):
            current = self._open(event, key, grouper)
        elif current.state is State.RESOLVED:
            self._advance(event, current.id, State.FIRING, "the same event came again after it was resolved")
            self.reopened.append(current.id)
        current.last_seen = max(current.last_seen, at)
        if current.id in self._pending:
            row, _ = self._pending[current.id]
            row["events"] += 1
            row["last_seen"] = current.last_seen
        else:
            count, _ = self._bumped.get(current.id, (0, at))
            self._bumped[current.id] = count + 1, current.last_seen
        return current.id

    def _quiet_since(self, current: _Current, at: datetime) -> datetime:
        """When it was last seen or resolved. A sender that repeats itself seldom resolves long after."""
        if at - current.last_seen <= REOPEN_WITHIN:
            return current.last_seen
        resolved: datetime | None = self._connection.execute(
            select(func.max(_transitions.c.at)).where(_transitions.c.incident_id == current.id)
        ).scalar()
        return max(current.last_seen, resolved) if resolved else current.last_seen

    def _open(self, event: Event, key: str, grouper: int) -> _Current:
        current = _Current(new_id("inc", event.received_at), State.FIRING, event.received_at)
        first = {
            "id": new_id("tra", event.received_at),
            "incident_id": current.id,
            "at": event.received_at,
            "actor": _actor(event),
            "before": None,
            "after": State.FIRING.value,
            "reason": "first event",
        }
        self._pending[current.id] = self._new_row(current.id, key, grouper, event), first
        self._remember(key, current)
        self.opened.append(current.id)
        return current

    def _advance(self, event: Event, incident_id: str, to: State, reason: str) -> None:
        advance(self._session, incident_id, to, actor=_actor(event), reason=reason, at=event.received_at)
        if incident_id in self._incidents:
            self._incidents[incident_id].state = to

    def _recover(self, event: Event, current: _Current | None) -> str | None:
        """Resolves the group's incident, or else those of the same target (and job, when named)."""
        # What was opened in this same batch needs its row first, to be found and to have a whole history.
        self._write_pending()
        reason = "the source says that it recovered"
        if current is not None and current.state is not State.RESOLVED:
            self._advance(event, current.id, State.RESOLVED, reason)
            return current.id
        report = event.report
        if report.fingerprint or not report.target.key:
            return current.id if current else None
        query = (
            select(_incidents.c.id)
            .where(_incidents.c.target_key == report.target.key)
            .where(_incidents.c.state.in_([state.value for state in OPEN]))
        )
        if report.job_id:
            query = query.where(_incidents.c.job_id == report.job_id)
        found = [row.id for row in self._connection.execute(query.order_by(_incidents.c.last_seen))]
        for incident_id in found:
            self._advance(event, incident_id, State.RESOLVED, reason)
        return found[-1] if found else None

    def _write_pending(self) -> None:
        opened = [row for row, _ in self._pending.values()]
        insert_rows(self._connection, _incidents, opened)
        words.note(self._connection, opened)
        insert_rows(self._connection, _transitions, [first for _, first in self._pending.values()])
        self._pending.clear()

    def _write_bumps(self) -> None:
        """Counts what came to incidents that were written before; another process may have seen one later."""
        for chunk in chunks(self._bumped.items(), 3):
            given = [
                value
                for incident_id, (count, seen) in chunk
                for value in (incident_id, count, to_micros(seen))
            ]
            self._connection.exec_driver_sql(
                f"WITH bump (id, n, seen) AS (VALUES {marks(self._connection, len(chunk), 3)}) "
                "UPDATE incident SET events = incident.events + bump.n, last_seen = "
                "CASE WHEN incident.last_seen < bump.seen THEN bump.seen ELSE incident.last_seen END "
                "FROM bump WHERE incident.id = bump.id",
                tuple(given),
            )

    def _new_row(self, incident_id: str, key: str, grouper: int, event: Event) -> dict[str, Any]:
        report = event.report
        first_line = report.message.strip().split("\n", 1)[0]
        return {
            "id": incident_id,
            "group_key": key,
            "open_key": key,
            "state": State.FIRING.value,
            "episode": 1,
            "handled_episode": 0,
            "title": (report.title or first_line)[:200],
            "message": report.message[:20_000],
            "template": event.template,
            "severity": report.severity.value,
            "target_key": report.target.key,
            "target": report.target.model_dump_json(),
            "type": "",
            "system": report.target.system,
            "owner": report.target.owner,
            "environment": report.target.environment,
            "source": event.source,
            "job_id": report.job_id,
            "run_id": report.run_id,
            "events": 0,
            "first_seen": event.received_at,
            "last_seen": event.received_at,
            "why": _why(event, grouper),
        }


def _actor(event: Event) -> str:
    return f"source:{event.source}"


def _event_row(event: Event, incident_id: str | None) -> dict[str, Any]:
    report = event.report
    # Without what is empty: empty is the default. Pydantic's own way takes three times as long.
    body = {name: value for name, value in vars(report).items() if value and name != "log"}
    body["target"] = {name: value for name, value in vars(report.target).items() if value}
    body["template"] = event.template
    return {
        "id": event.id,
        "incident_id": incident_id,
        "received_at": event.received_at,
        "source": event.source,
        "status": report.status.value,
        "body": orjson.dumps(body).decode(),
    }
