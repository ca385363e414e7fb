"""From an event to its outcome in Slack's thread: a real server, Slack's own library, signed clicks."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.commands.playground_slack import Workspace
from tests.scenes import DirtyFile, Job, Make, RepeatedRows
from tests.server import Body, Mendline, install, outcomes, until

pytestmark = pytest.mark.server

PEOPLE = """
people:
  - {name: ada, role: approver, slack: U0ADA}
  - {name: eve, role: viewer, slack: U0EVE}
channels:
  incidents: {type: slack, channel: C0INCIDENTS}
routes:
  - to: [incidents]
"""


@pytest.fixture(scope="module")
def slack() -> Iterator[Workspace]:
    workspace = Workspace()
    with workspace.running():
        yield workspace
    assert workspace.broken == []


@pytest.fixture(scope="module")
def connected(slack: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mendline]:
    """A server that takes clicks over HTTP and over Socket Mode."""
    site = install(
        tmp_path_factory.mktemp("slack"),
        people__slack_api=slack.api,
        people__slack_bot_token=slack.bot_token,
        people__slack_signing_secret=slack.signing_secret,
        people__slack_app_token=slack.app_token,
    )
    (site.data / "people.yaml").write_text(PEOPLE)
    try:
        site.start()
        slack.clicks_to = f"{site.url}/api/v1/slack/events"
        until(lambda: slack.connected > 0)
        yield site
    finally:
        site.end()


def card_of(slack: Workspace, incident_id: str) -> Body:
    """The one message of an incident."""

    def found() -> list[Body]:
        return [card for card in slack.cards if incident_id in json.dumps(card["metadata"])]

    until(lambda: bool(found()))
    (card,) = found()
    return card


def shows(card: Body, text: str) -> bool:
    return text in json.dumps(card["blocks"], ensure_ascii=False)


@pytest.fixture
def asked(connected: Mendline, slack: Workspace, scene: Make, name: str) -> tuple[str, Body, Job]:
    """An incident whose plan waits, its message and the job."""
    job = scene(Job)
    assert isinstance(job, Job)
    incident_id = connected.api.report(job.message, job.register(connected, name, environment="ask"))
    card = card_of(slack, incident_id)
    until(lambda: "approve" in slack.buttons(card))
    return incident_id, card, job


@pytest.mark.parametrize("by_http", [True, False], ids=["http", "socket"])
def test_approved_with_one_click_it_runs_and_its_outcome_stands_in_the_thread(
    connected: Mendline, slack: Workspace, asked: tuple[str, Body, Job], by_http: bool
) -> None:
    incident_id, card, job = asked
    assert job.server.acted == 0
    slack.by_http = by_http
    answered = slack.click("U0ADA", card, "approve")
    assert (answered.status, answered.seconds < 3) == (200, True)
    trail = connected.api.ended(incident_id)
    assert outcomes(trail)[0]["ended"] == "verified"
    assert trail["repairs"][0]["remediation"]["approved_by"] == "ada"
    job.mended(connected.backups(trail))
    until(lambda: shows(card, "ended verified") and shows(card, "ada approved"))
    until(lambda: any(reply["text"].startswith("✅ *verified*") for reply in slack.thread(card)))
    until(lambda: "approve" not in slack.buttons(card))
    assert len([c for c in slack.cards if c["metadata"] == card["metadata"]]) == 1


def test_an_answer_from_elsewhere_takes_the_buttons_away(
    connected: Mendline, slack: Workspace, asked: tuple[str, Body, Job]
) -> None:
    incident_id, card, _ = asked
    connected.api.post(f"/approvals/{connected.api.asked(incident_id)['id']}/deny", {"reason": "not today"})
    until(lambda: "approve" not in slack.buttons(card))
    until(lambda: shows(card, "admin denied"))


def test_wrong_type_is_learned_and_diagnosed_again(
    connected: Mendline, slack: Workspace, asked: tuple[str, Body, Job]
) -> None:
    incident_id, card, job = asked
    slack.click("U0ADA", card, "type", "service_unavailable")
    trail = connected.api.wait(incident_id, lambda t: len(t["diagnoses"]) == 2)
    assert trail["label"]["type"] == "service_unavailable"
    assert trail["label"]["actor"] == "ada"
    assert job.server.acted == 0


def test_what_was_repaired_is_taken_back_with_a_click(
    connected: Mendline, slack: Workspace, scene: Make, name: str
) -> None:
    table = scene(RepeatedRows)
    incident_id = connected.api.report(table.message, table.register(connected, name))
    connected.api.wait(incident_id, lambda t: t["incident"]["state"] == "resolved")
    card = card_of(slack, incident_id)
    until(lambda: "undo" in slack.buttons(card))
    assert slack.click("U0ADA", card, "undo").status == 200
    until(lambda: "undo" not in slack.buttons(card))
    connected.api.wait(incident_id, lambda t: t["repairs"][0]["undo"] and t["repairs"][0]["undo"]["done"])
    table.as_before()
    until(lambda: any(reply["text"] == "ada has it undone" for reply in slack.thread(card)))


def test_another_fix_is_planned_and_asked_about_in_the_same_thread(
    connected: Mendline, slack: Workspace, scene: Make, name: str
) -> None:
    file = scene(DirtyFile)
    target = file.register(connected, name, environment="ask", allow=[file.strategy, "escalate_to_human"])
    incident_id = connected.api.report(file.message, target)
    card = card_of(slack, incident_id)
    until(lambda: "other" in slack.buttons(card))
    slack.click("U0ADA", card, "other", "escalate_to_human")
    trail = connected.api.wait(incident_id, lambda t: len(t["decisions"]) == 2)
    assert (trail["approvals"][0]["answer"], trail["approvals"][0]["other"]) == (
        "denied",
        "escalate_to_human",
    )
    until(lambda: shows(card, "ada denied"))
    file.as_before()


def test_a_viewers_click_changes_nothing(
    connected: Mendline, slack: Workspace, asked: tuple[str, Body, Job]
) -> None:
    incident_id, card, _ = asked
    before = len(slack.told("U0EVE"))
    assert slack.click("U0EVE", card, "approve").status == 200
    until(lambda: len(slack.told("U0EVE")) > before)
    assert "the role viewer may not do this" in slack.told("U0EVE")[-1]
    assert connected.api.asked(incident_id)["answer"] is None


def test_the_socket_is_connected_again_when_slack_hangs_up(
    connected: Mendline, slack: Workspace, asked: tuple[str, Body, Job]
) -> None:
    incident_id, card, _ = asked
    slack.by_http = False
    opened = [method for method, _ in slack.calls].count("apps.connections.open")
    slack.hang_up()
    until(lambda: [method for method, _ in slack.calls].count("apps.connections.open") == opened + 1)
    until(lambda: slack.connected == 1)
    assert slack.click("U0ADA", card, "approve").status == 200
    assert connected.api.ended(incident_id)["repairs"][0]["remediation"]["approved_by"] == "ada"


def test_slack_being_away_delays_no_repair_and_loses_no_message(
    connected: Mendline, slack: Workspace, scene: Make, name: str
) -> None:
    job = scene(Job)
    slack.trouble["chat.postMessage"] = ["silent"] * 4
    incident_id = connected.api.report(job.message, job.register(connected, name))
    trail = connected.api.wait(incident_id, lambda t: t["incident"]["state"] == "resolved")
    assert outcomes(trail)[0]["ended"] == "verified"
    card = card_of(slack, incident_id)
    until(lambda: any(reply["text"].startswith("✅ *verified*") for reply in slack.thread(card)))
    assert not any(secret in connected.log for secret in (slack.bot_token, slack.app_token))


def test_secrets_stay_secret(connected: Mendline, slack: Workspace) -> None:
    spoken: Any = connected.log + json.dumps(connected.api.get("/approvals"))
    for secret in (slack.bot_token, slack.signing_secret, slack.app_token):
        assert secret not in spoken
