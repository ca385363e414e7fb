"""Clicks from Slack, signed, through Slack's own library to the desk: who may, what is said, and only once."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.commands.playground_slack import Answered, Workspace
from app.diagnosis.diagnosis import Ranked
from app.foundation.clock import FrozenClock
from app.foundation.ids import derived_id
from app.people.channels.slack import Slack, SlackParams
from app.people.message import Message
from app.people.settings import PeopleSettings
from app.people.slack_door import Signatures, SlackDoor
from app.pipeline.card import Cards
from app.remediation import approve
from app.remediation.approve import Approval
from tests.doubles import until
from tests.web.conftest import World

PEOPLE = """
people:
  - {name: ada, role: approver, slack: U0ADA}
  - {name: bob, role: approver, slack: U0BOB}
  - {name: eve, role: viewer, slack: U0EVE}
"""
PAYLOADS = Path(__file__).parents[2] / ".." / "shared" / "data" / "payloads" / "slack"


class Site:
    """The world with a Slack: `door` takes what it sends."""

    def __init__(self, world: World, slack: Workspace) -> None:
        self.world, self.slack = world, slack
        slack.clock = world.clock
        world.directory.path.write_text(PEOPLE)
        self.settings = PeopleSettings(
            slack_bot_token=slack.bot_token,
            slack_signing_secret=slack.signing_secret,
            slack_api=slack.api,
            timeout=2,
        )
        self.door = SlackDoor(self.settings, world.directory, world.parts.desk, world.clock)
        world.app.state.parts = replace(world.parts, slack=self.door)
        self.client = TestClient(world.app, raise_server_exceptions=False)
        parts = world.parts
        self.cards = Cards(world.database, parts.targets, parts.strategies, "https://mend.example")
        self.channel = Slack(SlackParams(type="slack", channel="C0INCIDENTS"), self.settings)

    def asked(self) -> str:
        """An incident whose plan waits, shown in Slack; the approval's id."""
        incident_id = self.world.incident()
        ranked = (
            Ranked(type="network_timeout", probability=0.6),
            Ranked(type="unknown_error", probability=0.4),
        )
        self.world.diagnose(incident_id, confidence=0.6, ranked=ranked)
        approval_id = derived_id("apr", self.world.decide(incident_id).id)
        message = Message(kind="waiting", incident_id=incident_id, title="t", text="may it?", about="x")
        self.channel.deliver(message, self.cards.card(incident_id), "")
        return approval_id

    def send(self, payload: Any, **headers: Any) -> int:
        """Posts a payload as Slack does; the status of the answer."""
        body, signed = self.slack.signed(payload)
        return self.client.post(
            "/api/v1/slack/events", content=body, headers={**signed, **headers}
        ).status_code

    def click(self, user: str, verb: str, chosen: str = "") -> int:
        return self.send(self.slack.clicked(user, self.slack.cards[0], verb, chosen))

    def submit(self, user: str, reason: str = "") -> None:
        until(lambda: bool(self.slack.views))
        (view_id,) = self.slack.views
        sent: list[Any] = []
        self.slack.send = lambda payload: Answered(sent.append(payload) or 0, 0)  # type: ignore[method-assign,func-returns-value]
        self.slack.submit(user, view_id, reason=reason)
        assert self.send(sent[0]) == 200

    def approval(self, approval_id: str) -> Approval:
        with self.world.database.reading() as session:
            return approve.get(session, approval_id)

    def told(self, user: str) -> str:
        """What only this user saw last, once they saw something."""
        until(lambda: bool(self.slack.told(user)))
        return self.slack.told(user)[-1]


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    workspace = Workspace()
    with workspace.running():
        made = Site(world, workspace)
        yield made
        made.door.close()
    assert workspace.broken == []


class TestActs:
    def test_approve(self, site: Site) -> None:
        approval_id = site.asked()
        assert site.click("U0ADA", "approve") == 200
        until(lambda: site.approval(approval_id).answer is not None)
        given = site.approval(approval_id)
        assert (given.answer, given.actor) == ("approved", "ada")
        assert site.world.answered == [approval_id]

    def test_the_message_says_who_and_when_and_has_no_buttons_any_more(self, site: Site) -> None:
        approval_id = site.asked()
        site.click("U0ADA", "approve")
        until(lambda: site.approval(approval_id).answer is not None)
        card = site.cards.card(site.approval(approval_id).incident_id)
        assert card is not None
        site.channel.refresh(card, f"C0INCIDENTS/{site.slack.cards[0]['ts']}")
        assert "ada approved, 2026-11-20 12:00:00 UTC" in json.dumps(site.slack.cards[0]["blocks"])
        assert site.slack.buttons(site.slack.cards[0]) == ["type"]

    @pytest.mark.parametrize(("verb", "answer"), [("deny", "denied"), ("approve_why", "approved")])
    def test_a_reason_may_be_given(self, site: Site, verb: str, answer: str) -> None:
        approval_id = site.asked()
        site.click("U0ADA", verb)
        site.submit("U0ADA", "not *today*")
        until(lambda: site.approval(approval_id).answer is not None)
        given = site.approval(approval_id)
        assert (given.answer, given.actor, given.reason) == (answer, "ada", "not *today*")

    def test_wrong_type_denies_with_the_right_one(self, site: Site) -> None:
        approval_id = site.asked()
        site.click("U0ADA", "type", "unknown_error")
        until(lambda: site.approval(approval_id).answer is not None)
        given = site.approval(approval_id)
        assert (given.answer, given.right_type) == ("denied", "unknown_error")

    def test_snooze(self, site: Site) -> None:
        approval_id = site.asked()
        site.click("U0ADA", "snooze", "60")
        until(lambda: site.approval(approval_id).snoozed_until is not None)
        assert site.approval(approval_id).snoozed_until == site.world.clock.now() + timedelta(hours=1)
        until(lambda: len(site.slack.thread(site.slack.cards[0])) == 2)
        assert (
            site.slack.thread(site.slack.cards[0])[1]["text"] == "ada put it off until 2026-11-20 13:00 UTC"
        )

    def test_two_persons(self, site: Site) -> None:
        approval_id = site.asked()
        with site.world.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE approval SET people = 2")
        site.click("U0ADA", "approve")
        until(lambda: len(site.approval(approval_id).yeses) == 1)
        site.click("U0ADA", "approve")
        assert "ada has said yes already; this plan needs 2 different persons" in site.told("U0ADA")
        site.click("U0BOB", "approve")
        until(lambda: site.approval(approval_id).answer is not None)
        assert site.approval(approval_id).actor == "ada and bob"


class TestWho:
    def test_somebody_who_is_not_in_the_file(self, site: Site) -> None:
        approval_id = site.asked()
        site.slack.members["U0MALLORY"] = "mallory"
        assert site.click("U0MALLORY", "approve") == 200
        assert "I do not know you" in site.told("U0MALLORY")
        assert "slack: U0MALLORY" in site.told("U0MALLORY")
        assert site.approval(approval_id).answer is None

    @pytest.mark.parametrize(
        ("verb", "chosen"), [("approve", ""), ("approve_why", ""), ("deny", ""), ("snooze", "15")]
    )
    def test_a_viewer(self, site: Site, verb: str, chosen: str) -> None:
        approval_id = site.asked()
        site.click("U0EVE", verb, chosen)
        assert "the role viewer may not do this" in site.told("U0EVE")
        assert (site.approval(approval_id).answer, site.slack.views) == (None, {})

    def test_nobody_while_the_file_cannot_be_read(self, site: Site) -> None:
        approval_id = site.asked()
        site.world.directory.path.write_text("people: [{name: ada, role: emperor, slack: U0ADA}]")
        site.click("U0ADA", "approve")
        assert "nobody is let in while people.yaml cannot be read" in site.told("U0ADA")
        assert site.approval(approval_id).answer is None


class TestOnce:
    def test_a_double_click_is_one_answer(self, site: Site) -> None:
        approval_id = site.asked()
        site.click("U0ADA", "approve")
        site.click("U0ADA", "approve")
        assert "ada has answered already: approved at" in site.told("U0ADA")
        assert site.world.answered == [approval_id]

    def test_two_people_at_once_are_one_answer_and_a_clear_word(self, site: Site) -> None:
        approval_id = site.asked()
        payloads = [site.slack.clicked(user, site.slack.cards[0], "approve") for user in ("U0ADA", "U0BOB")]
        threads = [threading.Thread(target=site.send, args=(payload,)) for payload in payloads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(site.slack.told("U0ADA") + site.slack.told("U0BOB")) == 1)
        (said,) = site.slack.told("U0ADA") + site.slack.told("U0BOB")
        assert "answered" in said
        assert site.world.answered == [approval_id]

    def test_a_plan_that_changed_since_is_not_approved(self, site: Site) -> None:
        approval_id = site.asked()
        with site.world.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE approval SET plan_hash = 'another'")
        site.click("U0ADA", "approve")
        assert "the plan that waits is another" in site.told("U0ADA")
        assert site.approval(approval_id).answer is None

    def test_the_same_request_twice_does_nothing_the_second_time(self, site: Site) -> None:
        site.asked()
        payload = site.slack.clicked("U0ADA", site.slack.cards[0], "snooze", "15")
        assert [site.send(payload), site.send(payload)] == [200, 401]
        until(lambda: len(site.slack.thread(site.slack.cards[0])) == 2)
        assert site.slack.told("U0ADA") == []

    def test_nor_over_a_restart(self, site: Site) -> None:
        site.asked()
        body, signed = site.slack.signed(site.slack.clicked("U0ADA", site.slack.cards[0], "snooze", "15"))
        site.world.clock.advance(timedelta(seconds=2))
        site.door.close()
        site.door = SlackDoor(site.settings, site.world.directory, site.world.parts.desk, site.world.clock)
        site.world.app.state.parts = replace(site.world.parts, slack=site.door)
        answer = site.client.post("/api/v1/slack/events", content=body, headers=signed)
        assert (answer.status_code, "here before" in answer.json()["detail"]) == (401, True)


class TestSignature:
    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Slack-Signature": "v0=" + "0" * 64},
            {"X-Slack-Signature": ""},
            {"X-Slack-Signature": "é".encode()},
            {"X-Slack-Request-Timestamp": "1795176001"},
            {"X-Slack-Request-Timestamp": "soon"},
            {"X-Slack-Request-Timestamp": ""},
        ],
    )
    def test_a_wrong_one_is_refused(self, site: Site, headers: dict[str, Any]) -> None:
        approval_id = site.asked()
        payload = site.slack.clicked("U0ADA", site.slack.cards[0], "approve")
        assert site.send(payload, **headers) == 401
        assert site.approval(approval_id).answer is None

    @pytest.mark.parametrize(("seconds", "status"), [(-299, 200), (-301, 401), (299, 200), (301, 401)])
    def test_it_is_good_for_five_minutes(self, site: Site, seconds: int, status: int) -> None:
        site.asked()
        payload = site.slack.clicked("U0EVE", site.slack.cards[0], "approve")
        at = site.world.clock.now().timestamp()
        body, signed = site.slack.signed(payload, at)
        # A request from before the start would be refused for that, so it is the clock that moves.
        if seconds < 0:
            site.world.clock.advance(timedelta(seconds=-seconds))
        else:
            body, signed = site.slack.signed(payload, at + seconds)
        answer = site.client.post("/api/v1/slack/events", content=body, headers=signed)
        assert answer.status_code == status

    @pytest.mark.parametrize("body", [b"", b"\xff", b"payload=", b"payload=" + b"[" * 5000, b"payload=[]"])
    def test_nothing_is_parsed_before(self, site: Site, body: bytes) -> None:
        assert site.client.post("/api/v1/slack/events", content=body).status_code == 401

    def test_without_slack_there_is_no_such_door(self, world: World) -> None:
        answer = TestClient(world.app).post("/api/v1/slack/events", content=b"")
        assert (answer.status_code, "SLACK_BOT_TOKEN" in answer.json()["detail"]) == (404, True)

    def test_without_the_secret_it_stays_shut(self, site: Site, world: World) -> None:
        settings = PeopleSettings(slack_bot_token="xoxb-1", slack_api=site.slack.api)
        door = SlackDoor(settings, world.directory, world.parts.desk, world.clock)
        world.app.state.parts = replace(world.parts, slack=door)
        answer = site.client.post("/api/v1/slack/events", content=b"payload={}")
        door.close()
        assert (answer.status_code, "SIGNING_SECRET" in answer.json()["detail"]) == (404, True)


class TestTrouble:
    def test_it_answers_at_once_although_slack_hangs(self, site: Site) -> None:
        approval_id = site.asked()
        site.slack.trouble["chat.postEphemeral"] = ["silent"] * 9
        began = time.monotonic()
        assert [site.send(site.slack.clicked("U0EVE", site.slack.cards[0], "approve")) for _ in range(9)] == [
            200
        ] * 9
        assert time.monotonic() - began < 3
        assert site.approval(approval_id).answer is None

    def test_a_form_that_slack_does_not_open_is_said(self, site: Site) -> None:
        site.asked()
        site.slack.trouble["views.open"] = ["expired_trigger_id"]
        site.click("U0ADA", "deny")
        assert "Please click again" in site.told("U0ADA")

    def test_what_was_done_is_done_although_slack_cannot_be_told(self, site: Site) -> None:
        approval_id = site.asked()
        site.slack.trouble["chat.postMessage"] = ["fatal_error"]
        site.click("U0ADA", "snooze", "60")
        until(lambda: site.approval(approval_id).snoozed_until is not None)
        until(lambda: site.slack.trouble["chat.postMessage"] == [])
        site.door.close()
        assert site.slack.told("U0ADA") == []

    def test_an_act_that_breaks_is_said_and_logged(self, site: Site) -> None:
        site.asked()
        payload = site.slack.clicked("U0ADA", site.slack.cards[0], "approve")
        payload["actions"][0]["block_id"] = "not/ours"
        with structlog.testing.capture_logs() as logs:
            assert site.send(payload) == 200
            assert "its log has it" in site.told("U0ADA")
        assert [line["event"] for line in logs].count("slack.act_failed") == 1

    def test_a_button_of_another_app_is_not_ours(self, site: Site) -> None:
        site.asked()
        payload = site.slack.clicked("U0ADA", site.slack.cards[0], "approve")
        payload["actions"][0]["action_id"] = "launch"
        assert site.send(payload) == 404


class TestSocketMode:
    @pytest.fixture
    def listening(self, site: Site) -> Iterator[SlackDoor]:
        """A door without the signing secret, which nobody can reach but by its own socket."""
        settings = site.settings.model_copy(
            update={"slack_app_token": SecretStr(site.slack.app_token), "slack_signing_secret": SecretStr("")}
        )
        door = SlackDoor(settings, site.world.directory, site.world.parts.desk, site.world.clock)
        yield door
        door.close()

    def test_it_connects_as_soon_as_slack_is_there(self, site: Site, listening: SlackDoor) -> None:
        site.slack.trouble["apps.connections.open"] = ["500"]
        approval_id = site.asked()
        with structlog.testing.capture_logs() as logs:
            listening.start()
            until(lambda: site.slack.connected == 1)
        assert "slack.not_connected" in [line["event"] for line in logs]
        assert site.slack.click("U0ADA", site.slack.cards[0], "approve").status == 200
        until(lambda: site.approval(approval_id).answer is not None)
        assert site.approval(approval_id).actor == "ada"

    def test_it_ends_although_slack_never_comes(self, site: Site, listening: SlackDoor) -> None:
        site.slack.trouble["apps.connections.open"] = ["invalid_auth"] * 50
        with structlog.testing.capture_logs() as logs:
            listening.start()
            until(lambda: len(logs) > 0)
        began = time.monotonic()
        listening.close()
        assert time.monotonic() - began < 3


@pytest.mark.skipif(
    not PAYLOADS.exists(), reason="the recorded payloads (../shared/data/payloads/slack) are not here"
)
class TestRecorded:
    def test_the_published_signature_is_ours(self) -> None:
        vector = json.loads((PAYLOADS / "signature-vector.json").read_text())
        then = FrozenClock(datetime.fromtimestamp(int(vector["timestamp"]), UTC))

        headers = {
            "x-slack-request-timestamp": vector["timestamp"],
            "x-slack-signature": vector["signature"],
        }
        Signatures(vector["published_example_key"], then).check(headers, vector["body"].encode())

    @pytest.mark.parametrize(
        "name", sorted(path.name for path in PAYLOADS.glob("*.json") if "signature" not in path.name)
    )
    def test_every_recorded_payload_is_taken_without_breaking(self, site: Site, name: str) -> None:
        payload = json.loads((PAYLOADS / name).read_text())
        assert site.send(payload) in (200, 404)
