"""The states of an incident, on a real SQLite file."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.foundation.clock import FrozenClock
from app.foundation.errors import Conflict, NotFound
from app.incidents import store
from app.incidents.group import Group
from app.incidents.incident import Incident, State, Transition
from app.incidents.lifecycle import GroupIsOpen, IllegalTransition, advance
from app.intake.event import Report
from app.intake.ingest import prepare
from app.tables import metadata

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ALLOWED = {
    (State.FIRING, State.ACKNOWLEDGED),
    (State.FIRING, State.RESOLVED),
    (State.FIRING, State.SUPPRESSED),
    (State.ACKNOWLEDGED, State.FIRING),
    (State.ACKNOWLEDGED, State.RESOLVED),
    (State.ACKNOWLEDGED, State.SUPPRESSED),
    (State.RESOLVED, State.FIRING),
    (State.SUPPRESSED, State.FIRING),
    (State.SUPPRESSED, State.RESOLVED),
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "test.db"))
    metadata.create_all(database.engine)
    yield database
    database.close()


def fired(database: Database, at: datetime = NOW) -> str:
    """An incident's id, after one event of one and the same group."""
    group = Group(database, FrozenClock(at), lambda ids: None)
    (answer,) = group.commit([prepare(Report(message="m", fingerprint="f"), "s", at)])
    assert answer.incident_id is not None
    return answer.incident_id


def move(
    database: Database, incident_id: str, to: State, *, at: datetime = NOW, reason: str = ""
) -> Incident:
    with database.writing() as session:
        return advance(session, incident_id, to, actor="ann", reason=reason, at=at)


def history(database: Database, incident_id: str) -> list[Transition]:
    with database.reading() as session:
        return store.transitions(session, incident_id)


def incident_in(database: Database, state: State) -> str:
    incident_id = fired(database)
    if state is not State.FIRING:
        move(database, incident_id, state)
    return incident_id


class TestAdvance:
    @pytest.mark.parametrize(("before", "to"), sorted(ALLOWED))
    def test_allowed_moves_are_made_and_written_down(
        self, database: Database, before: State, to: State
    ) -> None:
        incident_id = incident_in(database, before)
        later = NOW + timedelta(minutes=5)
        assert move(database, incident_id, to, at=later, reason="because").state is to
        with database.reading() as session:
            assert store.get(session, incident_id).state is to
        assert history(database, incident_id)[-1] == Transition(
            incident_id=incident_id, at=later, actor="ann", before=before, after=to, reason="because"
        )

    @pytest.mark.parametrize(
        ("before", "to"),
        sorted(pair for pair in itertools.permutations(State, 2) if pair not in ALLOWED),
    )
    def test_other_moves_are_refused_and_change_nothing(
        self, database: Database, before: State, to: State
    ) -> None:
        incident_id = incident_in(database, before)
        steps = history(database, incident_id)
        with pytest.raises(IllegalTransition, match=f"{before} cannot become {to}"):
            move(database, incident_id, to)
        with database.reading() as session:
            assert store.get(session, incident_id).state is before
        assert history(database, incident_id) == steps

    @pytest.mark.parametrize("state", State)
    def test_already_there_is_a_no_op(self, database: Database, state: State) -> None:
        incident_id = incident_in(database, state)
        steps = history(database, incident_id)
        assert move(database, incident_id, state).state is state
        assert history(database, incident_id) == steps

    def test_an_unknown_incident_is_not_found(self, database: Database) -> None:
        with pytest.raises(NotFound, match="inc_x"):
            move(database, "inc_x", State.RESOLVED)


class TestEpisode:
    def test_only_leaving_resolved_begins_one(self, database: Database) -> None:
        incident_id = fired(database)
        path = [
            (State.ACKNOWLEDGED, 1),
            (State.FIRING, 1),
            (State.SUPPRESSED, 1),
            (State.FIRING, 1),
            (State.RESOLVED, 1),
            (State.FIRING, 2),
            (State.SUPPRESSED, 2),
            (State.RESOLVED, 2),
            (State.FIRING, 3),
        ]
        assert [(to, move(database, incident_id, to).episode) for to, _ in path] == path


class TestOneOpenIncidentAGroup:
    @pytest.mark.parametrize("closed", [State.RESOLVED, State.SUPPRESSED])
    def test_a_second_one_cannot_be_reopened(self, database: Database, closed: State) -> None:
        old = fired(database)
        move(database, old, State.RESOLVED)
        new = fired(database, NOW + timedelta(hours=2))
        assert new != old
        with pytest.raises(GroupIsOpen, match=new) as caught:
            move(database, old, State.FIRING)
        assert isinstance(caught.value, Conflict)
        move(database, new, closed)
        assert move(database, old, State.FIRING).state is State.FIRING

    def test_it_may_move_between_open_states(self, database: Database) -> None:
        incident_id = fired(database)
        assert move(database, incident_id, State.ACKNOWLEDGED).state is State.ACKNOWLEDGED
        assert move(database, incident_id, State.FIRING).state is State.FIRING


class TestOrder:
    @pytest.mark.parametrize("step", [timedelta(0), -timedelta(hours=1)])
    def test_is_kept_in_one_moment_and_when_the_clock_jumps_back(
        self, database: Database, step: timedelta
    ) -> None:
        incident_id = fired(database)
        path = [State.ACKNOWLEDGED, State.FIRING] * 5 + [State.RESOLVED]
        at = NOW
        for to in path:
            at += step
            move(database, incident_id, to, at=at)
        steps = history(database, incident_id)
        assert [transition.after for transition in steps] == [State.FIRING, *path]
        times = [transition.at for transition in steps]
        assert times == sorted(set(times))
