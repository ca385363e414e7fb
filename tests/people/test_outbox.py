"""The outbox over channels that keep a thread: what waits, what is not told any more, what is shown anew."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlmodel import select

from app.db.engine import Database
from app.foundation.clock import FrozenClock
from app.people import store
from app.people.directory import DirectoryFile
from app.people.message import Card, Message
from app.people.notify import Notify
from app.people.settings import PeopleSettings
from app.people.tables import DeliveryRow
from tests.channels import FarHook, FarJira, FarPagerDuty
from tests.contracts.test_channels import card, message
from tests.doubles import until
from tests.situations import NOW


class Office:
    """One site's people: a pager, tickets and a hook, all of them on every route."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.pager, self.tickets, self.hook = FarPagerDuty(), FarJira(), FarHook()
        self.database = database
        self.clock = FrozenClock(NOW)
        self.cards: dict[str, Card] = {}
        self.file = folder / "people.yaml"
        self._folder = folder
        self.directory = DirectoryFile(self.file)
        self.channels: dict[str, Any] = {}
        for name, far in (("pager", self.pager), ("tickets", self.tickets), ("hook", self.hook)):
            (folder / name).write_text(far.secret)
            self.channels[name] = far.entry(str(folder / name))
        self.write()
        self.made: list[Notify] = []

    def write(self, *names: str, **more: Any) -> None:
        """The file, with these channels on the one route; all without names."""
        to = list(names or self.channels)
        self.file.write_text(yaml.safe_dump({"channels": self.channels, "routes": [{"to": to}], **more}))

    def start(self) -> Notify:
        made = Notify(PeopleSettings(), self.directory, self.database, self.clock, self.cards.get)
        made.start()
        self.made.append(made)
        return made

    def waiting(self) -> int:
        """How many deliveries are on their way."""
        with self.database.reading() as session:
            return len([one for one in store.deliveries(session, "inc_1") if one.ended_at is None])

    def late(self) -> bool:
        """Whether a failure has been noted."""
        with self.database.reading() as session:
            return bool(store.deliveries(session))

    def told(self) -> list[tuple[str, str]]:
        with self.database.reading() as session:
            return [(one.channel, one.message.kind) for one in store.deliveries(session, "inc_1")]


@pytest.fixture
def office(tmp_path: Path, database: Database) -> Iterator[Office]:
    made = Office(tmp_path, database)
    with made.pager.running(), made.tickets.running(), made.hook.running():
        yield made
        for notify in made.made:
            notify.close()


def about(kind: str, about: str = "apr_1", incident_id: str = "inc_1") -> Message:
    return message(kind=kind, about=about, incident_id=incident_id)


def changed(office: Office, **fields: Any) -> None:
    """The incident changes, as its transaction does it."""
    with office.database.writing() as session:
        office.cards["inc_1"] = card(incident_id="inc_1", **fields)
        store.changed(session, "inc_1")


class TestKinds:
    def test_nobody_is_paged_for_good_news_and_no_ticket_is_made(self, office: Office) -> None:
        office.start().notify(about("verified"))
        until(lambda: len(office.hook.got) == 1 and office.waiting() == 0)
        assert (office.pager.alerts, office.tickets.issues) == ({}, {})
        assert office.told() == [("hook", "verified")]

    def test_where_a_ticket_stands_it_hears_the_rest(self, office: Office) -> None:
        notify = office.start()
        for kind in ("escalated", "reminder", "verified"):
            office.clock.advance(timedelta(seconds=1))
            notify.notify(about(kind))
        until(lambda: len(office.hook.got) == 3 and office.waiting() == 0)
        (issue,) = office.tickets.issues.values()
        assert len(issue["comments"]) == 1  # a reminder is no news

    def test_an_entry_may_say_otherwise(self, office: Office) -> None:
        office.channels["hook"]["kinds"] = ["stuck"]
        office.write("hook")
        notify = office.start()
        notify.notify(about("waiting"))
        notify.notify(about("stuck"))
        until(lambda: len(office.hook.got) == 1 and office.waiting() == 0)
        assert office.hook.got[0]["kind"] == "stuck"


class TestPatience:
    def test_a_channel_that_asks_for_patience_is_left_alone_as_a_whole(self, office: Office) -> None:
        office.write("hook")
        office.hook.answers = [(429, {"Retry-After": "30"})]
        notify = office.start()
        for number in range(5):
            notify.notify(about("waiting", f"apr_{number}", f"inc_{number}"))
        until(office.late)
        office.clock.advance(timedelta(seconds=29))
        done = about("waiting", "apr_hook", "inc_hook")
        # By the time another channel has served what came later, this one would have had its turn.
        office.write("hook", "pager")
        notify.notify(done)
        until(lambda: office.pager.threads == 1)
        assert len(office.hook.asked) == 1
        office.clock.advance(timedelta(seconds=2))
        until(lambda: len(office.hook.got) == 6)

    def test_those_that_wait_for_another_try_hold_up_no_others(self, office: Office) -> None:
        """More of them than are looked at in one go, and all of them older."""
        office.write("hook")
        later = NOW + timedelta(minutes=5)
        with office.database.writing() as session:
            for number in range(150):
                store.queue(session, about("waiting", f"apr_{number}", f"inc_{number}"), ["hook"], NOW)
            for row in session.exec(select(DeliveryRow)).all():
                row.next_at = later
        office.clock.advance(timedelta(seconds=1))
        office.start().notify(about("waiting", "apr_new", "inc_new"))
        until(lambda: [one["about"] for one in office.hook.got] == ["apr_new"])

    def test_of_one_incident_the_order_is_kept(self, office: Office) -> None:
        office.write("hook")
        office.hook.answers = [(500, {})] * 3
        notify = office.start()
        notify.notify(about("waiting"))
        until(office.late)
        notify.notify(about("verified"))
        until(lambda: office.waiting() == 2)
        assert office.hook.got == []
        office.clock.advance(timedelta(minutes=1))
        until(lambda: len(office.hook.got) == 2)
        assert [one["kind"] for one in office.hook.got] == ["waiting", "verified"]


class TestOver:
    def test_a_reminder_of_what_was_answered_meanwhile_is_not_told(self, office: Office) -> None:
        office.write("hook")
        office.cards["inc_1"] = card(incident_id="inc_1", question=None)
        office.start().notify(about("reminder", "apr_1:15"))
        until(lambda: office.told() == [])
        assert office.hook.got == []

    def test_one_of_a_question_that_still_waits_is(self, office: Office) -> None:
        office.write("hook")
        office.cards["inc_1"] = card(incident_id="inc_1")
        office.start().notify(about("reminder", "apr_1:15"))
        until(lambda: len(office.hook.got) == 1)


class TestRefresh:
    def test_what_stands_there_follows_the_incident(self, office: Office) -> None:
        office.cards["inc_1"] = card(incident_id="inc_1")
        notify = office.start()
        notify.notify(about("escalated"))
        until(lambda: office.pager.threads == office.tickets.threads == 1 and office.waiting() == 0)
        changed(office, state="resolved")
        notify.woken()
        until(lambda: office.pager.alerts["inc_1"]["state"] == "resolved")
        until(lambda: [one["status"] for one in office.tickets.issues.values()] == ["30"])

    def test_what_changed_while_the_ticket_was_made_is_shown_too(self, office: Office) -> None:
        """There was no thread yet that could have been marked; nothing more is told of it."""
        office.cards["inc_1"] = card(incident_id="inc_1")
        create = office.tickets._create

        def slowly(body: Any) -> Any:
            office.cards["inc_1"] = card(incident_id="inc_1", state="resolved")
            return create(body)

        office.tickets._create = slowly  # type: ignore[method-assign]
        office.write("tickets")
        office.start().notify(about("escalated"))
        until(lambda: [one["status"] for one in office.tickets.issues.values()] == ["30"])

    def test_a_card_that_cannot_be_read_silences_nobody(self, office: Office) -> None:
        office.write("pager")

        def broken(incident_id: str) -> Card | None:
            raise RuntimeError("no such table")

        made = Notify(PeopleSettings(), office.directory, office.database, office.clock, broken)
        office.made.append(made)
        made.start()
        made.notify(about("escalated"))
        until(lambda: office.pager.threads == 1)


class TestTwo:
    def test_two_threads_that_tell_the_same_thing_tell_it_once(self, office: Office) -> None:
        office.write("hook")
        notify = office.start()
        both = threading.Barrier(2)
        failed: list[BaseException] = []

        def tell() -> None:
            try:
                both.wait()
                notify.notify(about("waiting"))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=tell) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: office.hook.got != [] and office.waiting() == 0)
        assert (len(office.hook.got), failed) == (1, [])


def test_a_broken_file_keeps_the_way_that_was_known(office: Office) -> None:
    office.write("hook")
    notify = office.start()
    notify.notify(about("waiting"))
    until(lambda: len(office.hook.got) == 1)
    office.file.write_text("routes: [{to: nowhere}]")
    notify.notify(about("verified"))
    until(lambda: len(office.hook.got) == 2)


def test_what_is_told_after_a_start_with_a_broken_file_waits_until_it_is_mended(office: Office) -> None:
    office.file.write_text("routes: [{to: nowhere}]")
    notify = office.start()
    notify.notify(about("escalated"))
    assert office.told() == [("", "escalated")]
    office.write("hook", "pager")
    until(lambda: len(office.hook.got) == 1 and office.pager.threads == 1)
    assert sorted(office.told()) == [("hook", "escalated"), ("pager", "escalated")]
