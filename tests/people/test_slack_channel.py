"""The Slack channel with Slack's own library, against the playground's strict Slack."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.commands.playground_slack import Workspace
from app.db.engine import Database, sqlite_url
from app.foundation.clock import SystemClock
from app.foundation.errors import Invalid
from app.people import store
from app.people.channel import NotDelivered
from app.people.channels.slack import Slack, SlackParams
from app.people.directory import DirectoryFile
from app.people.message import Card, Message
from app.people.notify import Notify
from app.people.settings import PeopleSettings
from app.people.slack_api import Unanswered
from app.tables import metadata
from tests.cards import CARDS
from tests.doubles import until

NOW = SystemClock().now()
WAITING = CARDS["waiting"].model_copy(update={"since": NOW - timedelta(minutes=1)})
ANSWERED = CARDS["answered"].model_copy(update={"since": WAITING.since})
ID = WAITING.incident_id


def message(kind: str = "waiting", about: str = "apr_1", **fields: Any) -> Message:
    text = "may this run?"
    return Message(**{"kind": kind, "incident_id": ID, "title": "t", "text": text, "about": about} | fields)


@pytest.fixture
def settings(slack: Workspace) -> PeopleSettings:
    return PeopleSettings(slack_bot_token=slack.bot_token, slack_api=slack.api, timeout=2)


@pytest.fixture
def channel(settings: PeopleSettings) -> Slack:
    return Slack(SlackParams(type="slack", channel="C0INCIDENTS"), settings)


def again(settings: PeopleSettings) -> Slack:
    """The same channel after a restart."""
    return Slack(SlackParams(type="slack", channel="C0INCIDENTS"), settings)


def posts(slack: Workspace) -> list[str]:
    return [method for method, _ in slack.calls if method.startswith("chat.")]


class TestThread:
    def test_an_incident_is_one_message_and_one_thread(self, slack: Workspace, channel: Slack) -> None:
        reference = channel.deliver(message(), WAITING, "")
        assert channel.deliver(message("verified", "rem_1", text="done"), WAITING, reference) == reference
        (card,) = slack.cards
        assert reference == f"C0INCIDENTS/{card['ts']}"
        assert [reply["text"] for reply in slack.thread(card)] == [
            "✋ *waiting*: may this run?",
            "✅ *verified*: done",
        ]

    def test_it_is_brought_up_to_date(self, slack: Workspace, channel: Slack) -> None:
        reference = channel.deliver(message(), WAITING, "")
        assert "approve" in slack.buttons(slack.cards[0])
        channel.refresh(ANSWERED, reference)
        assert slack.buttons(slack.cards[0]) == ["type"]
        assert slack.cards[0]["edited"] == 1
        channel.refresh(ANSWERED, reference)
        assert posts(slack).count("chat.update") == 1  # what looks the same needs none

    def test_a_message_brings_it_up_to_date_too(self, slack: Workspace, channel: Slack) -> None:
        reference = channel.deliver(message(), WAITING, "")
        channel.deliver(message("undone", "rem_1"), ANSWERED, reference)
        assert slack.buttons(slack.cards[0]) == ["type"]

    def test_what_must_be_seen_is_shown_in_the_channel_too(self, slack: Workspace, channel: Slack) -> None:
        reference = channel.deliver(message(), WAITING, "")
        channel.deliver(message("reminder", "apr_1:15"), WAITING, reference)
        channel.deliver(message("verified", "rem_1"), WAITING, reference)
        assert [reply["broadcast"] for reply in slack.thread(slack.cards[0])] == [False, True, False]

    def test_an_incident_that_is_gone_is_not_told(self, slack: Workspace, channel: Slack) -> None:
        assert channel.deliver(message(), None, "") == ""
        assert slack.messages == []

    @pytest.mark.parametrize("card", [WAITING, ANSWERED], ids=["as it was", "changed"])
    @pytest.mark.parametrize("restarted", [False, True])
    def test_a_deleted_card_begins_anew(
        self, slack: Workspace, channel: Slack, settings: PeopleSettings, card: Card, restarted: bool
    ) -> None:
        reference = channel.deliver(message(), WAITING, "")
        slack.messages.clear()
        second = again(settings) if restarted else channel
        told = second.deliver(message("verified", "rem_1"), card, reference)
        assert told == f"C0INCIDENTS/{slack.cards[0]['ts']}"
        assert told != reference
        assert len(slack.thread(slack.cards[0])) == 1
        slack.messages.clear()
        channel.refresh(CARDS["verified"], reference)  # nothing is there to be brought up to date


class TestOnce:
    @pytest.mark.parametrize("lost", ["card", "reply"])
    def test_a_lost_answer_posts_nothing_twice(
        self, slack: Workspace, channel: Slack, settings: PeopleSettings, lost: str
    ) -> None:
        slack.trouble["chat.postMessage"] = ["lost"] if lost == "card" else ["", "lost"]
        with pytest.raises(Unanswered):
            channel.deliver(message(), WAITING, "")
        reference = channel.deliver(message(), WAITING, "")
        assert (len(slack.cards), len(slack.thread(slack.cards[0]))) == (1, 1)
        # Nor does a process that begins after a crash, which does not know what went out.
        assert again(settings).deliver(message(), WAITING, "") == reference
        third = again(settings)
        third.refresh(ANSWERED, reference)
        third.deliver(message(), WAITING, reference)
        assert (len(slack.cards), len(slack.thread(slack.cards[0]))) == (1, 1)

    def test_without_the_right_to_look_it_is_told_all_the_same(
        self, slack: Workspace, channel: Slack
    ) -> None:
        slack.scopes.discard("channels:history")
        channel.deliver(message(), WAITING, "")
        assert (len(slack.cards), len(slack.thread(slack.cards[0]))) == (1, 1)

    def test_another_incidents_card_is_not_taken_for_it(
        self, slack: Workspace, settings: PeopleSettings
    ) -> None:
        again(settings).deliver(message(), WAITING, "")
        other = WAITING.model_copy(update={"incident_id": "inc_2"})
        again(settings).deliver(message(incident_id="inc_2"), other, "")
        assert len(slack.cards) == 2


class TestTrouble:
    @pytest.mark.parametrize(
        ("trouble", "after", "again", "says"),
        [
            ("ratelimited:7", 7, True, "ratelimited"),
            ("503", 0, True, "internal_error"),
            ("fatal_error", 0, True, "fatal_error"),
            ("not_in_channel", 10, True, "invite it there"),
            ("invalid_auth", 10, True, "does not know the bot token"),
            ("missing_scope", 10, True, "lacks a scope"),
            ("something_new", 0, True, "something_new"),
            ("too_many_attachments", 0, False, "too_many_attachments"),
        ],
    )
    def test_what_slack_says_is_told_and_tried_again_where_that_may_help(
        self, slack: Workspace, channel: Slack, trouble: str, after: float, again: bool, says: str
    ) -> None:
        slack.trouble["chat.postMessage"] = [trouble]
        with pytest.raises(NotDelivered, match=says) as refused:
            channel.deliver(message(), WAITING, "")
        assert (refused.value.again, refused.value.after) == (again, after)
        assert slack.bot_token not in refused.value.says

    def test_while_slack_wants_patience_nothing_is_asked_of_it(
        self, slack: Workspace, channel: Slack
    ) -> None:
        slack.trouble["chat.postMessage"] = ["ratelimited:30"]
        with pytest.raises(NotDelivered):
            channel.deliver(message(), WAITING, "")
        asked = len(slack.calls)
        other = WAITING.model_copy(update={"incident_id": "inc_2"})
        with pytest.raises(NotDelivered) as refused:
            channel.deliver(message(incident_id="inc_2"), other, "")
        assert 25 < refused.value.after <= 30
        with pytest.raises(NotDelivered):
            channel.refresh(ANSWERED, "C0INCIDENTS/1.000001")
        assert len(slack.calls) == asked

    def test_a_wrong_token_is_said(self, slack: Workspace, settings: PeopleSettings) -> None:
        wrong = settings.model_copy(update={"slack_bot_token": type(settings.slack_bot_token)("xoxb-wrong")})
        with pytest.raises(NotDelivered, match="does not know the bot token"):
            again(wrong).deliver(message(), WAITING, "")

    def test_better_without_buttons_than_not_at_all(self, slack: Workspace, channel: Slack) -> None:
        slack.trouble["chat.postMessage"] = ["invalid_blocks"]
        channel.deliver(message(), WAITING, "")
        assert slack.cards[0]["blocks"] == []
        assert "shop/table/payments@production" in slack.cards[0]["text"]

    def test_nobody_there(self, settings: PeopleSettings) -> None:
        away = settings.model_copy(update={"slack_api": "http://127.0.0.1:9/api/"})
        with pytest.raises(Unanswered):
            again(away).deliver(message(), WAITING, "")


class TestOutbox:
    """Notify with this channel, over a database, as the service has it."""

    FILE = "channels:\n  incidents: {type: slack, channel: C0INCIDENTS}\nroutes:\n  - to: [incidents]\n"

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        made = Database(sqlite_url(tmp_path / "mendline.db"))
        metadata.create_all(made.engine)
        yield made
        made.close()

    @pytest.fixture
    def cards(self) -> dict[str, Card]:
        return {ID: WAITING}

    @pytest.fixture
    def notify(
        self, tmp_path: Path, settings: PeopleSettings, database: Database, cards: dict[str, Card]
    ) -> Iterator[Notify]:
        (tmp_path / "people.yaml").write_text(self.FILE)
        made = Notify(
            settings, DirectoryFile(tmp_path / "people.yaml"), database, SystemClock(), card=cards.get
        )
        made.start()
        yield made
        made.close()

    @pytest.mark.parametrize("trouble", [["ratelimited:1"], ["silent"] * 3, ["lost"], ["503", "fatal_error"]])
    def test_slack_in_trouble_loses_no_message_and_shows_none_twice(
        self, slack: Workspace, notify: Notify, trouble: list[str]
    ) -> None:
        slack.trouble["chat.postMessage"] = list(trouble)
        with structlog.testing.capture_logs():
            notify.notify(message())
            notify.notify(message("verified", "rem_1"))
            until(lambda: len(slack.cards) == 1 and len(slack.thread(slack.cards[0])) == 2)
        assert [reply["text"].split("*")[1] for reply in slack.thread(slack.cards[0])] == [
            "waiting",
            "verified",
        ]

    def test_what_changed_is_shown_by_itself(
        self, slack: Workspace, notify: Notify, database: Database, cards: dict[str, Card]
    ) -> None:
        notify.notify(message())
        until(lambda: len(slack.cards) == 1 and len(slack.thread(slack.cards[0])) == 1)

        def known() -> bool:
            with database.reading() as session:
                return bool(store.reference(session, ID, "incidents"))

        until(known)
        cards[ID] = ANSWERED
        with database.writing() as session:
            store.changed(session, ID)
        notify.woken()
        until(lambda: slack.buttons(slack.cards[0]) == ["type"])


def test_a_channel_is_named_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "people.yaml"
    path.write_text("channels:\n  incidents: {type: slack, channel: '#incidents'}\n")
    with pytest.raises(Invalid) as wrong:
        DirectoryFile(path).read()
    ((place, _),) = wrong.value.places
    assert place.startswith("line 2")
