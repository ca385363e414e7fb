"""Grouping and reading back, on a real SQLite file."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.db.engine import Database, sqlite_url
from app.foundation.clock import FrozenClock
from app.foundation.errors import Invalid, NotFound
from app.incidents import store
from app.incidents.group import Group, group_key
from app.incidents.incident import Incident, State
from app.incidents.lifecycle import advance
from app.intake.event import Accepted, Event, Report, Severity, Status, Target
from app.intake.ingest import prepare
from app.tables import metadata

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
JOB = Target(system="shop", kind="job", name="load")


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def event(message: str = "it broke", *, at: datetime = NOW, source: str = "s", **fields: Any) -> Event:
    return prepare(Report(message=message, **fields), source, at)


def recovery(message: str = "it works again", **fields: Any) -> Event:
    return event(message, status=Status.RESOLVED, **fields)


class World:
    """A group over a fresh database, and short ways of asking it."""

    def __init__(self, path: Path) -> None:
        self.database = Database(sqlite_url(path / "test.db"))
        metadata.create_all(self.database.engine)
        self.opened: list[list[str]] = []
        self.group = Group(self.database, FrozenClock(NOW), lambda ids: self.opened.append(list(ids)))

    def commit(self, *events: Event) -> list[Accepted]:
        return self.group.commit(events)

    def ids(self, *events: Event) -> list[str | None]:
        return [answer.incident_id for answer in self.commit(*events)]

    def one(self, *events: Event) -> str:
        """The incident to which all of `events` belong."""
        (incident_id,) = set(self.ids(*events))
        assert incident_id is not None
        return incident_id

    def get(self, incident_id: str) -> Incident:
        with self.database.reading() as session:
            return store.get(session, incident_id)

    def state(self, incident_id: str) -> State:
        return self.get(incident_id).state

    def move(self, incident_id: str, to: State, at: datetime = NOW) -> None:
        with self.database.writing() as session:
            advance(session, incident_id, to, actor="ann", reason="", at=at)

    def history(self, incident_id: str) -> list[tuple[State | None, State]]:
        with self.database.reading() as session:
            return [(step.before, step.after) for step in store.transitions(session, incident_id)]

    def page(self, limit: int = 25, after: str = "", **only: Any) -> tuple[list[Incident], str]:
        with self.database.reading() as session:
            return store.page(session, store.Only(**only), limit=limit, after=after)

    def titles(self, **asked: Any) -> list[str]:
        return [incident.title for incident in self.page(**asked)[0]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.database.close()


class TestKey:
    def test_a_fingerprint_decides_alone(self) -> None:
        assert group_key(event("a", fingerprint="f")) == group_key(event("b", fingerprint="f", target=JOB))

    def test_fingerprints_of_two_sources_do_not_meet(self) -> None:
        assert group_key(event(fingerprint="f")) != group_key(event(fingerprint="f", source="t"))

    def test_else_the_template_and_its_owner(self) -> None:
        assert group_key(event("took 3 s", target=JOB)) == group_key(event("took 12 s", target=JOB))
        owners = [
            event("m", target=JOB),
            event("m", target=JOB.model_copy(update={"environment": "prod"})),
            event("m", job_id="load"),
            event("m"),
            event("m", source="t"),
            event("other", target=JOB),
        ]
        assert len({group_key(owner) for owner in owners}) == len(owners)


class TestOpen:
    def test_the_first_event_opens_an_incident(self, world: World) -> None:
        first = event("it broke\nbadly", severity=Severity.CRITICAL, target=JOB, job_id="j", run_id="r")
        incident_id = world.one(first)
        incident = world.get(incident_id)
        assert incident.title == "it broke"
        assert incident.message == "it broke\nbadly"
        assert (incident.state, incident.episode, incident.events) == (State.FIRING, 1, 1)
        assert (incident.severity, incident.target) == (Severity.CRITICAL, JOB)
        assert (incident.job_id, incident.run_id, incident.source) == ("j", "r", "s")
        assert (incident.first_seen, incident.last_seen) == (NOW, NOW)
        assert [(reason.grouper, reason.contributes) for reason in incident.why] == [
            ("fingerprint@1", False),
            ("template@1", True),
        ]
        assert world.history(incident_id) == [(None, State.FIRING)]
        assert world.opened == [[incident_id]]

    def test_more_events_are_counted_and_open_nothing(self, world: World) -> None:
        incident_id = world.one(event("took 1 s"))
        world.opened.clear()
        assert (
            world.one(event("took 2 s", at=NOW + minutes(1)), event("took 3 s", at=NOW + minutes(3)))
            == incident_id
        )
        incident = world.get(incident_id)
        assert (incident.events, incident.last_seen) == (3, NOW + minutes(3))
        assert incident.first_seen == NOW
        assert world.opened == []

    def test_the_newest_time_counts_in_whatever_order_a_batch_comes(self, world: World) -> None:
        for order in itertools.permutations([1, 2, 3]):
            name = str(order)
            fresh = world.one(*(event("m", fingerprint=name, at=NOW + minutes(n)) for n in order))
            assert world.get(fresh).last_seen == NOW + minutes(3)
            world.one(*(event("m", fingerprint=name, at=NOW + minutes(10 + n)) for n in order))
            assert world.get(fresh).last_seen == NOW + minutes(13)

    def test_an_event_from_the_past_does_not_turn_back_the_time(self, world: World) -> None:
        incident_id = world.one(event())
        world.one(event(at=NOW - minutes(5)))
        assert world.get(incident_id).last_seen == NOW

    def test_a_title_is_preferred_and_long_ones_are_cut(self, world: World) -> None:
        assert world.get(world.one(event("m", title="Disk full"))).title == "Disk full"
        assert len(world.get(world.one(event("x" * 500))).title) == 200

    def test_the_answers_keep_the_order_of_the_events(self, world: World) -> None:
        events = [event("m", fingerprint=name) for name in "abcab"]
        answers = world.commit(*events)
        assert [answer.event_id for answer in answers] == [event.id for event in events]
        a, b, c, *again = (answer.incident_id for answer in answers)
        assert again == [a, b]
        assert len({a, b, c}) == 3

    def test_thousands_at_once(self, world: World) -> None:
        ids = world.ids(*(event("m", fingerprint=str(n % 700), delivery_key=str(n)) for n in range(2_100)))
        assert len(set(ids)) == 700
        assert {world.get(incident_id).events for incident_id in ids[:50] if incident_id} == {3}

    def test_a_listener_that_fails_does_not_take_back_the_promise(self, world: World) -> None:
        def fails(_: Sequence[str]) -> None:
            raise RuntimeError("the pipeline is down")

        group = Group(world.database, FrozenClock(NOW), fails)
        (answer,) = group.commit([event()])
        assert answer.incident_id is not None
        assert world.state(answer.incident_id) is State.FIRING


class TestDuplicates:
    def test_a_redelivery_changes_nothing(self, world: World) -> None:
        first = event(delivery_key="k")
        again = event("in other words", delivery_key="k", at=NOW + minutes(5))
        incident_id = world.one(first)
        world.opened.clear()
        (answer,) = world.commit(again)
        assert answer == Accepted(event_id=first.id, incident_id=incident_id, duplicate=True)
        incident = world.get(incident_id)
        assert (incident.events, incident.last_seen) == (1, NOW)
        assert world.opened == []

    def test_twice_in_one_batch_is_once(self, world: World) -> None:
        answers = world.commit(*(event(delivery_key="k") for _ in range(3)))
        assert [answer.duplicate for answer in answers] == [False, True, True]
        assert len({answer.incident_id for answer in answers}) == 1
        assert world.get(str(answers[0].incident_id)).events == 1

    def test_a_redelivered_recovery_does_not_resolve_again(self, world: World) -> None:
        incident_id = world.one(event(fingerprint="f"))
        world.commit(recovery(fingerprint="f", delivery_key="k"))
        world.one(event(fingerprint="f", at=NOW + minutes(1)))
        (answer,) = world.commit(recovery(fingerprint="f", delivery_key="k"))
        assert (answer.incident_id, answer.duplicate) == (incident_id, True)
        assert world.state(incident_id) is State.FIRING

    def test_an_unmatched_recovery_is_remembered_too(self, world: World) -> None:
        for duplicate in (False, True):
            (answer,) = world.commit(recovery(fingerprint="f", delivery_key="k"))
            assert (answer.incident_id, answer.duplicate) == (None, duplicate)

    def test_without_a_key_the_same_words_are_two_events(self, world: World) -> None:
        assert world.get(world.one(event(), event())).events == 2


class TestReopen:
    def test_within_an_hour_it_is_the_same_incident_in_a_new_episode(self, world: World) -> None:
        incident_id = world.one(event(fingerprint="f"))
        world.commit(recovery(fingerprint="f"))
        world.opened.clear()
        assert world.one(event(fingerprint="f", at=NOW + minutes(60))) == incident_id
        incident = world.get(incident_id)
        assert (incident.state, incident.episode, incident.events) == (State.FIRING, 2, 2)
        assert incident.last_seen == NOW + minutes(60)
        assert world.history(incident_id)[-1] == (State.RESOLVED, State.FIRING)
        assert world.opened == [[incident_id]]

    def test_after_an_hour_it_is_a_new_one(self, world: World) -> None:
        old = world.one(event(fingerprint="f"))
        world.commit(recovery(fingerprint="f"))
        new = world.one(event(fingerprint="f", at=NOW + minutes(60.1)))
        assert new != old
        assert (world.state(old), world.state(new)) == (State.RESOLVED, State.FIRING)
        assert world.get(new).episode == 1

    def test_the_hour_begins_when_it_was_resolved(self, world: World) -> None:
        # Senders that repeat a notification are duplicates, so it may have been seen last long ago.
        incident_id = world.one(event(fingerprint="f"))
        world.commit(recovery(fingerprint="f", at=NOW + minutes(180)))
        assert world.one(event(fingerprint="f", at=NOW + minutes(230))) == incident_id

    def test_the_newest_of_several_is_reopened(self, world: World) -> None:
        for start in (0, 120, 240):
            newest = world.one(event(fingerprint="f", at=NOW + minutes(start)))
            world.commit(recovery(fingerprint="f", at=NOW + minutes(start + 1)))
        assert world.one(event(fingerprint="f", at=NOW + minutes(250))) == newest

    def test_what_a_person_reopened_is_found_although_a_newer_one_was_resolved(self, world: World) -> None:
        old = world.one(event(fingerprint="f"))
        world.commit(recovery(fingerprint="f"))
        world.one(event(fingerprint="f", at=NOW + minutes(120)))
        world.commit(recovery(fingerprint="f", at=NOW + minutes(121)))
        world.move(old, State.FIRING, NOW + minutes(122))
        assert world.one(event(fingerprint="f", at=NOW + minutes(123))) == old


class TestRecover:
    def test_by_fingerprint(self, world: World) -> None:
        incident_id = world.one(event(fingerprint="f", target=JOB))
        other = world.one(event(fingerprint="g", target=JOB))
        assert world.ids(recovery(fingerprint="f", target=JOB)) == [incident_id]
        assert (world.state(incident_id), world.state(other)) == (State.RESOLVED, State.FIRING)
        assert world.get(incident_id).events == 1

    def test_by_the_same_words(self, world: World) -> None:
        incident_id = world.one(event("took 1 s"))
        assert world.ids(recovery("took 2 s")) == [incident_id]
        assert world.state(incident_id) is State.RESOLVED

    def test_by_target_resolves_all_of_it(self, world: World) -> None:
        first, second = (
            world.one(event("a", target=JOB)),
            world.one(event("b", target=JOB, at=NOW + minutes(1))),
        )
        elsewhere = world.one(event("a", target=Target(name="other")))
        assert world.ids(recovery(target=JOB)) == [second]
        assert [world.state(i) for i in (first, second, elsewhere)] == [
            State.RESOLVED,
            State.RESOLVED,
            State.FIRING,
        ]

    def test_by_target_and_job_when_a_job_is_named(self, world: World) -> None:
        first, second = (world.one(event(name, target=JOB, job_id=name)) for name in ("a", "b"))
        assert world.ids(recovery(target=JOB, job_id="a")) == [first]
        assert (world.state(first), world.state(second)) == (State.RESOLVED, State.FIRING)

    def test_of_nothing_is_stored_without_an_incident(self, world: World) -> None:
        world.one(event("a", target=JOB))
        unmatched = [recovery(fingerprint="x", target=JOB), recovery(target=Target(name="x")), recovery()]
        assert world.ids(*unmatched) == [None, None, None]
        with world.database.reading() as session:
            assert store.event(session, unmatched[0].id)[1] is None

    def test_an_acknowledged_incident_is_resolved_too(self, world: World) -> None:
        incident_id = world.one(event(fingerprint="f"))
        world.move(incident_id, State.ACKNOWLEDGED)
        world.commit(recovery(fingerprint="f"))
        assert world.state(incident_id) is State.RESOLVED

    def test_of_what_is_resolved_already_changes_nothing(self, world: World) -> None:
        incident_id = world.one(event(fingerprint="f"))
        for _ in range(2):
            assert world.ids(recovery(fingerprint="f")) == [incident_id]
        assert len(world.history(incident_id)) == 2


class TestRecoverInTheSameBatch:
    def test_by_fingerprint(self, world: World) -> None:
        incident_id = world.one(event(fingerprint="f"), recovery(fingerprint="f"))
        assert world.state(incident_id) is State.RESOLVED
        assert world.history(incident_id) == [(None, State.FIRING), (State.FIRING, State.RESOLVED)]
        assert world.opened == []

    def test_by_target(self, world: World) -> None:
        incident_id = world.one(event("a", target=JOB), recovery(target=JOB))
        assert world.state(incident_id) is State.RESOLVED
        assert world.opened == []

    def test_and_fired_again(self, world: World) -> None:
        flapping = [make(fingerprint="f") for make in [event, recovery] * 5 + [event]]
        incident_id = world.one(*flapping)
        incident = world.get(incident_id)
        assert (incident.state, incident.episode, incident.events) == (State.FIRING, 6, 6)
        assert world.opened == [[incident_id]]
        # All have one time: their order must not be left to chance.
        again = [(State.FIRING, State.RESOLVED), (State.RESOLVED, State.FIRING)] * 5
        assert world.history(incident_id) == [(None, State.FIRING), *again]

    def test_by_target_and_fired_again_is_not_counted_to_a_closed_one(self, world: World) -> None:
        incident_id = world.one(event("a", target=JOB), recovery(target=JOB), event("a", target=JOB))
        incident = world.get(incident_id)
        assert (incident.state, incident.episode, incident.events) == (State.FIRING, 2, 2)
        assert world.opened == [[incident_id]]

    def test_the_others_of_the_batch_are_opened_as_usual(self, world: World) -> None:
        closed, other, _, late = world.ids(
            event(fingerprint="f"), event(fingerprint="g"), recovery(fingerprint="f"), event(fingerprint="h")
        )
        assert world.state(str(closed)) is State.RESOLVED
        assert world.opened == [[other, late]]
        assert [world.history(str(i)) for i in (other, late)] == [[(None, State.FIRING)]] * 2

    def test_seen_again_after_long_silence_then_recovered_then_fired_is_a_reopening(
        self, world: World
    ) -> None:
        incident_id = world.one(event(fingerprint="f"))
        later = NOW + minutes(300)
        again = [event(fingerprint="f", at=later), recovery(fingerprint="f", at=later)]
        assert world.one(*again, event(fingerprint="f", at=later + minutes(1))) == incident_id
        assert world.get(incident_id).events == 3


class TestStates:
    @pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.SUPPRESSED])
    def test_open_and_suppressed_incidents_absorb(self, world: World, state: State) -> None:
        incident_id = world.one(event(fingerprint="f"))
        world.move(incident_id, state)
        world.opened.clear()
        assert world.one(event(fingerprint="f", at=NOW + minutes(600))) == incident_id
        incident = world.get(incident_id)
        assert (incident.state, incident.events, incident.last_seen) == (state, 2, NOW + minutes(600))
        assert world.opened == []

    def test_a_recovery_resolves_a_suppressed_incident(self, world: World) -> None:
        incident_id = world.one(event(fingerprint="f"))
        world.move(incident_id, State.SUPPRESSED)
        world.commit(recovery(fingerprint="f"))
        assert world.state(incident_id) is State.RESOLVED


class TestReadBack:
    def test_an_event_is_read_as_it_was_stored(self, world: World) -> None:
        given = event("took 3 s", target=JOB, labels={"a": "b"}, attributes={"n": [1, None]}, occurred_at=NOW)
        incident_id = world.one(given)
        with world.database.reading() as session:
            found, of = store.event(session, given.id)
            assert (found, of) == (given, incident_id)
            assert store.events(session, incident_id) == [given]
            with pytest.raises(NotFound):
                store.event(session, "evt_x")

    def test_whatever_attributes_hold_can_be_read(self, world: World) -> None:
        hostile = {"huge": 10**400, "nan": float("nan"), "deep": [[[]]], "text": "\x00é\u2028"}
        given = event(attributes=hostile)
        world.commit(given)
        with world.database.reading() as session:
            attributes = store.event(session, given.id)[0].report.attributes
        assert attributes == {**hostile, "huge": str(10**400), "nan": None}

    def test_the_newest_log_is_kept_apart(self, world: World) -> None:
        logs = [event(log=f"log {n} é", at=NOW + minutes(n)) for n in range(3)]
        incident_id = world.one(*logs, event(at=NOW + minutes(9)))
        with world.database.reading() as session:
            assert store.log_of(session, incident_id) == "log 2 é"
            assert store.log_of(session, "inc_x") == ""
            assert store.event(session, logs[0].id)[0].report.log == ""

    def test_events_are_newest_first_and_limited(self, world: World) -> None:
        events = [event(at=NOW + minutes(n)) for n in range(5)]
        incident_id = world.one(*events)
        with world.database.reading() as session:
            found = store.events(session, incident_id, limit=3)
        assert [found_event.id for found_event in found] == [given.id for given in reversed(events[2:])]

    def test_counts_by_state(self, world: World) -> None:
        ids = [world.one(event("m", fingerprint=name)) for name in "abc"]
        world.move(ids[0], State.SUPPRESSED)
        with world.database.reading() as session:
            assert store.counts(session) == {State.FIRING: 2, State.SUPPRESSED: 1}

    def test_unhandled_are_the_firing_whose_episode_nobody_began(self, world: World) -> None:
        first, second, third = (world.one(event("m", fingerprint=name)) for name in "abc")
        world.move(third, State.ACKNOWLEDGED)
        with world.database.writing() as session:
            store.mark_handled(session, first, 1)
        with world.database.reading() as session:
            assert store.unhandled(session) == [(second, 1)]
        world.commit(recovery(fingerprint="a"))
        world.commit(event(fingerprint="a"))
        with world.database.reading() as session:
            assert set(store.unhandled(session)) == {(first, 2), (second, 1)}


class TestPage:
    def test_newest_first_with_a_cursor_to_the_rest(self, world: World) -> None:
        ids = [world.one(event("m", fingerprint=str(n), at=NOW + minutes(n))) for n in range(5)]
        first, cursor = world.page(limit=2)
        second, cursor = world.page(limit=2, after=cursor)
        last, end = world.page(limit=2, after=cursor)
        assert [incident.id for incident in (*first, *second, *last)] == ids[::-1]
        assert (len(last), end) == (1, "")

    def test_a_page_that_is_just_full_is_the_last(self, world: World) -> None:
        world.commit(*(event("m", fingerprint=str(n)) for n in range(4)))
        _, cursor = world.page(limit=2)
        last, end = world.page(limit=2, after=cursor)
        assert (len(last), end) == (2, "")

    @pytest.mark.parametrize("limit", [1, 3, 7])
    def test_covers_every_row_once_while_rows_are_added(self, world: World, limit: int) -> None:
        # Many of one time: the id must decide.
        old = {str(world.one(event("m", fingerprint=f"old{n}", at=NOW + minutes(n // 5)))) for n in range(20)}
        seen: list[str] = []
        cursor = ""
        for turn in itertools.count():
            found, cursor = world.page(limit=limit, after=cursor)
            seen += [incident.id for incident in found]
            if not cursor:
                break
            world.commit(event("m", fingerprint=f"new{turn}", at=NOW + minutes(100 + turn)))
        assert len(seen) == len(set(seen))
        assert set(seen) == old

    def test_by_state(self, world: World) -> None:
        first, second = (world.one(event(name, title=name)) for name in "ab")
        world.move(first, State.RESOLVED)
        assert world.titles(state=State.FIRING) == ["b"]
        assert world.titles(state=State.RESOLVED) == ["a"]
        assert world.get(second).state is State.FIRING

    @pytest.mark.parametrize(
        ("search", "titles"),
        [
            ("disk", ["Disk 100% full"]),
            ("DISK", ["Disk 100% full"]),
            ("dis", ["Disk 100% full"]),
            ("isk", []),
            ("100%", ["Disk 100% full"]),
            ("full disk", ["Disk 100% full"]),
            ("disk user", []),
            ("%", []),
            ("user_id", ["no user_id"]),
            ("id_user", []),
            ("no user", ["no user_id", "no userXid"]),
            ("checkout", ["no user_id"]),
            ("shop/service/", ["no user_id"]),
            ("c:\\temp", ["C:\\temp is gone"]),
            ("nightly", ["no userXid"]),
            ('" OR * NEAR( ^', []),
            ("'; DROP TABLE incident; --", []),
            ("", ["no user_id", "Disk 100% full", "C:\\temp is gone", "no userXid"]),
        ],
    )
    def test_searches_words_and_their_beginnings(self, world: World, search: str, titles: list[str]) -> None:
        service = Target(system="shop", kind="service", name="checkout")
        world.commit(
            event("a", title="no userXid", job_id="nightly-7", at=NOW),
            event("b", title="C:\\temp is gone", at=NOW + minutes(1)),
            event("c", title="Disk 100% full", at=NOW + minutes(2)),
            event("d", title="no user_id", target=service, at=NOW + minutes(3)),
        )
        assert world.titles(search=search) == titles

    def test_filters_alone_and_beside_a_search_page_to_the_end(self, world: World) -> None:
        for number in range(9):
            target = Target(system="shop", name=f"n{number}", owner="data" if number % 3 else "web")
            world.commit(event(f"{number}", title=f"slow {number}", target=target, at=NOW + minutes(number)))
        for asked in ({}, {"search": "slow"}):
            found, after = world.page(owner="data", limit=4, **asked)
            more, end = world.page(owner="data", limit=4, after=after, **asked)
            assert [one.title for one in [*found, *more]] == [f"slow {n}" for n in (8, 7, 5, 4, 2, 1)]
            assert (bool(after), end) == (True, "")
            assert world.titles(owner="data", system="shop", state=State.RESOLVED, **asked) == []
            assert world.titles(since=NOW + minutes(8), **asked) == ["slow 8"]

    @pytest.mark.parametrize(
        "cursor", ["x", "~", "2026-11-20~inc_1", "2026-11-20T10:00:00+00:00", "~inc_1", "\x00~a"]
    )
    def test_a_cursor_that_is_not_ours_is_refused(self, world: World, cursor: str) -> None:
        with pytest.raises(Invalid) as caught:
            world.page(after=cursor)
        assert caught.value.places[0][0] == "after"

    @pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
    def test_a_cursor_at_the_end_of_time_is_no_trouble(self, world: World, time: str) -> None:
        world.commit(event())
        assert len(world.page(after=f"{time}~a")[0]) == (1 if time.startswith("9") else 0)


class TestConcurrently:
    def test_two_groups_on_one_database_open_one_incident(self, world: World) -> None:
        # As two processes do; on SQLite the write lock puts them in a row.
        other = Group(world.database, FrozenClock(NOW), lambda ids: None)
        assert world.ids(event(fingerprint="f")) == [other.commit([event(fingerprint="f")])[0].incident_id]
