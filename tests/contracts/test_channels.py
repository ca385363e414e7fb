"""What every channel promises, checked for each kind that `people.yaml` knows, against a strict far side."""

import logging
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from app.people.channel import Channel, NotDelivered
from app.people.channels import Connection, open_channel
from app.people.message import NEEDS_A_PERSON, Card, Fix, Message, Question
from app.people.settings import PeopleSettings
from tests.channels import FARS, SECRET, Far
from tests.situations import NOW

INCIDENT = "inc_01J00000000000000000000000"
MESSAGE = Message(
    kind="waiting",
    incident_id=INCIDENT,
    title="nightly-load timed out",
    text="may this run? run it again. a confidence of 0.6",
    about="apr_1",
    url="https://mend.example/incidents/inc_1",
)
CARD = Card(
    incident_id=INCIDENT,
    title="nightly-load timed out",
    where="airflow/task/nightly-load@production",
    environment="production",
    severity="error",
    state="firing",
    since=NOW,
    last=NOW + timedelta(minutes=3),
    events=3,
    type="network_timeout",
    confidence=0.87,
    evidence=("like case_1: “connection timed out”",),
    question=Question(
        approval_id="apr_1",
        plan_hash="abc",
        fix=Fix(strategy="retry", summary="run it again", steps=("run it",), risk="low", undo=None),
        says="a confidence of 0.6",
        waits_for="one person",
        expires_at=NOW + timedelta(hours=1),
    ),
)
# Line breaks for a header, what cannot be seen, what turns the writing, mentions of chats, and markup.
HOSTILE = (
    "load\r\nBcc: evil@example.com\n\x00\x1b[31m\u202e@everyone <!channel> <@U1> @here [go](http://evil/) "
    "<http://evil|bank> [code]<script>alert(1)</script>[/CODE] {{7*7}}"
)
KEEPS = ("pagerduty", "jira", "servicenow")
every_channel = pytest.mark.parametrize("kind", FARS)
every_that_keeps = pytest.mark.parametrize("kind", KEEPS)


@pytest.fixture
def far(kind: str) -> Iterator[Any]:
    with FARS[kind]().running() as running:
        yield running


@pytest.fixture
def opened(far: Any, tmp_path: Path) -> Iterator[Callable[[], Channel]]:
    """Opens the channel, as after each start."""
    (tmp_path / "secret").write_text(far.secret)
    made: list[Channel] = []

    def start() -> Channel:
        entry: Any = TypeAdapter(Connection).validate_python(far.entry(str(tmp_path / "secret")))
        made.append(open_channel(entry, PeopleSettings(timeout=5)))
        return made[-1]

    yield start
    for channel in made:
        channel.close()


@pytest.fixture
def channel(opened: Callable[[], Channel]) -> Channel:
    return opened()


def message(**fields: Any) -> Message:
    return MESSAGE.model_copy(update=fields)


def card(**fields: Any) -> Card:
    return CARD.model_copy(update=fields)


def test_every_channel_is_known_here() -> None:
    kinds = {get_args(one.model_fields["type"].annotation)[0] for one in get_args(get_args(Connection)[0])}
    # Slack has a strict double of its own.
    assert kinds - {"slack"} == set(FARS)


@every_channel
class TestDeliver:
    def test_people_see_what_happened(self, far: Far, channel: Channel) -> None:
        channel.deliver(MESSAGE, CARD, "")
        (seen,) = far.seen
        assert MESSAGE.text in seen
        assert far.problems == []

    def test_again_with_the_reference_makes_no_second_thread(self, far: Far, channel: Channel) -> None:
        reference = channel.deliver(MESSAGE, CARD, "")
        assert channel.deliver(message(about="apr_2", text="and now?"), CARD, reference) == reference
        assert far.threads == bool(reference)
        assert "and now?" in far.seen[-1]
        assert far.problems == []

    def test_without_a_card_it_is_told_all_the_same(self, far: Far, channel: Channel) -> None:
        channel.deliver(MESSAGE, None, "")
        assert len(far.seen) == 1
        assert far.problems == []

    def test_hostile_and_endless_text_stays_text(self, far: Far, channel: Channel) -> None:
        text = HOSTILE + "x" * 200_000
        hostile = card(
            title=text, where=text, evidence=(text,) * 3, said=text, ended=text, type="unknown_error"
        )
        reference = channel.deliver(message(title=text, text=text), hostile, "")
        channel.deliver(message(title=text, text=text, about="apr_2"), hostile, reference)
        channel.refresh(hostile, reference)
        assert far.problems == []
        assert len(far.seen) == 2

    def test_the_link_is_there_however_long_the_text(self, kind: str, far: Far, channel: Channel) -> None:
        if kind == "webhook":
            pytest.skip("a webhook has the address in a field of its own")
        channel.deliver(message(text="x" * 200_000), CARD, "")
        assert MESSAGE.url in far.seen[0]


@every_that_keeps
class TestKeeps:
    def test_a_crash_before_the_reference_was_stored_doubles_nothing(
        self, far: Far, opened: Callable[[], Channel]
    ) -> None:
        first = opened().deliver(MESSAGE, CARD, "")
        assert opened().deliver(MESSAGE, CARD, "") == first
        assert far.threads == 1
        assert len(set(far.seen)) == 1

    def test_one_thread_for_each_incident(self, far: Far, channel: Channel) -> None:
        channel.deliver(MESSAGE, CARD, "")
        channel.deliver(message(incident_id="inc_2"), card(incident_id="inc_2"), "")
        assert far.threads == 2

    def test_without_change_a_refresh_changes_nothing(self, far: Any, channel: Channel) -> None:
        reference = channel.deliver(MESSAGE, CARD, "")
        before = list(far.seen)
        for state in ("firing", "acknowledged", "resolved"):
            channel.refresh(card(state=state), reference)
            moves = getattr(far, "moves", 0)
            channel.refresh(card(state=state), reference)
            assert getattr(far, "moves", 0) == moves
        assert far.seen == before
        assert far.problems == []

    def test_by_default_it_hears_of_what_needs_a_person(self, kind: str, far: Any) -> None:
        entry: Any = TypeAdapter(Connection).validate_python(far.entry("/nowhere"))
        assert set(entry.kinds) == {*NEEDS_A_PERSON, *(["reminder"] if kind == "pagerduty" else [])}


@every_channel
class TestTrouble:
    def refused(self, channel: Channel) -> NotDelivered:
        with pytest.raises(NotDelivered) as refused:
            channel.deliver(MESSAGE, CARD, "")
        said = f"{refused.value} {refused.value.says} {refused.value!r}"
        assert SECRET[:32] not in said
        assert "127.0.0.1" not in said
        assert "http" not in said
        return refused.value

    def test_it_waits_as_long_as_it_is_asked_to(self, kind: str, far: Far, channel: Channel) -> None:
        far.answers = [(429, {"Retry-After": "7"})]
        refused = self.refused(channel)
        # Apprise does not hand on how long.
        assert (refused.again, refused.after) == (True, 60 if kind == "apprise" else 7)

    @pytest.mark.parametrize("asked", ["inf", "1e999", "-3", "Fri, 21 Nov 2036 00:00:00 GMT", "99999999"])
    def test_it_never_waits_for_ever(self, far: Far, channel: Channel, asked: str) -> None:
        far.answers = [(503, {"Retry-After": asked})]
        refused = self.refused(channel)
        assert refused.again
        assert 0 <= refused.after <= 3600

    @pytest.mark.parametrize("status", [500, 502, 503, 0])
    def test_what_may_pass_is_tried_again(self, far: Far, channel: Channel, status: int) -> None:
        far.answers = [(status, {})]
        assert self.refused(channel).again
        channel.deliver(MESSAGE, CARD, "")
        assert len(far.seen) == 1

    @pytest.mark.parametrize("status", [401, 403, 302])
    def test_what_will_not_is_not(self, far: Far, channel: Channel, status: int) -> None:
        far.answers = [(status, {"Location": "http://evil.example/"})] * 2
        assert not self.refused(channel).again

    def test_nobody_there(self, kind: str, tmp_path: Path) -> None:
        far = FARS[kind]()
        far._server.server_close()
        (tmp_path / "secret").write_text(far.secret)
        entry: Any = TypeAdapter(Connection).validate_python(far.entry(str(tmp_path / "secret")))
        channel = open_channel(entry, PeopleSettings(timeout=5))
        assert self.refused(channel).again
        channel.close()

    def test_without_its_secret_it_says_where_it_looked(
        self, far: Far, channel: Channel, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").unlink()
        refused = self.refused(channel)
        assert refused.again
        assert "cannot be read" in refused.says

    def test_a_wrong_secret_is_not_told(self, kind: str, far: Far, channel: Channel, tmp_path: Path) -> None:
        if kind in ("webhook", "apprise"):
            pytest.skip("the address is the secret")
        (tmp_path / "secret").write_text("wr0ng")
        assert not self.refused(channel).again

    @pytest.mark.parametrize("status", [500, 0])
    def test_nothing_is_logged_of_it(self, far: Far, channel: Channel, status: int) -> None:
        said: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger().addHandler(handler)
        try:
            far.answers = [(status, {})]
            self.refused(channel)
        finally:
            logging.getLogger().removeHandler(handler)
        assert SECRET not in str(said)
        assert "127.0.0.1" not in str(said)

    def test_closing_twice_is_no_error(self, channel: Channel) -> None:
        channel.close()
        channel.close()


@every_channel
def test_its_module_says_what_it_sends_and_keeps(kind: str, channel: Channel) -> None:
    text = sys.modules[type(channel).__module__].__doc__ or ""
    assert "\nSends:" in text
    assert "\nKeeps:" in text
