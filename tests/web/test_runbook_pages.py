"""The pages and the API of runbooks: what is in force, its record, its history, what it would match."""

import subprocess
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.decision.decision import Effect
from app.diagnosis.diagnosis import Choice
from app.foundation.errors import Unavailable
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from app.web.security import Role
from tests.situations import RETRY
from tests.web.conftest import Enter, World, runbook_text


@pytest.fixture
def api(world: World) -> Any:
    """GETs with the key of somebody who may only look."""
    client, key = TestClient(world.app), world.key(Role.VIEWER, "looker")

    def get(path: str, status: int = 200) -> Any:
        answer = client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, answer.text
        return answer.json()

    return get


def put(world: World, text: str = "", name: str = "slow") -> None:
    (world.shelf / f"{name}.md").write_text(text or runbook_text(name))
    world.retriever.load_runbooks(world.parts.runbooks().runbooks)


def cited(world: World, ref: str = "slow#fix") -> str:
    """An incident that cites the runbook, and a repair on its word that was verified; the incident's id."""
    incident_id = world.incident("connection to db timed out")
    choice = Choice(
        strategy=RETRY, serves="network_timeout", expected=0.8, success=0.9, because="", runbook=ref
    )
    world.diagnose(incident_id, runbook=ref, choices=(choice,))
    remediation_id = world.begin(world.decide(incident_id, Effect.ACT))
    outcome = Outcome(
        remediation_id=remediation_id,
        incident_id=incident_id,
        strategy=RETRY,
        target="t",
        ended=Ended.VERIFIED,
        at=world.clock.now(),
        says="",
        undone="",
    )
    with world.database.writing() as session:
        store.end(session, outcome)
    return incident_id


def test_a_page_has_record_citations_and_what_it_would_match(world: World, enter: Enter) -> None:
    put(world)
    incident_id = cited(world)
    page = enter(Role.VIEWER).get("/runbooks/slow")
    assert page.status == 200
    assert "cited by 1 incident, used 1, verified 1, undone 0" in page.text
    assert "1 of the newest 1 incidents" in page.text
    assert page.links().count(f"/incidents/{incident_id}") == 2
    assert "#fix" in page.links()
    assert "History" not in page.text


def test_a_page_before_anything_was_cited_or_is_ready(world: World, enter: Enter) -> None:
    put(world)
    page = enter(Role.VIEWER).get("/runbooks/slow")
    assert "No diagnosis has cited it." in page.text
    assert "None of the newest 0 incidents." in page.text

    def not_ready() -> Any:
        raise Unavailable("loading")

    world.app.state.parts = type(world.parts)(**{**vars(world.parts), "retriever": not_ready})
    assert "It is not ready to look yet." in enter(Role.VIEWER).get("/runbooks/slow").text


def test_history_and_author_from_git(world: World, enter: Enter, api: Any) -> None:
    put(world)
    who = ["-c", "user.name=Ada <b>", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q"], ["add", "slow.md"], [*who, "commit", "-q", "-m", "first <i>words</i>"]):
        subprocess.run(["git", *command], cwd=world.shelf, check=True)
    page = enter(Role.VIEWER).get("/runbooks/slow")
    assert "first by Ada b" in page.text
    assert "first <i>words</i>" in page.text
    assert "not committed" not in page.text
    (item,) = api("/runbooks")["items"]
    assert (item["history"]["author"], item["history"]["uncommitted"]) == ("Ada b", False)
    assert [change["subject"] for change in item["history"]["changes"]] == ["first <i>words</i>"]
    put(world, runbook_text("slow", body="Changed."))
    assert "not committed" in enter(Role.VIEWER).get("/runbooks/slow").text


def test_a_broken_file_is_shown_and_its_last_version_stays(world: World, enter: Enter, api: Any) -> None:
    put(world)
    world.parts.runbooks()
    (world.shelf / "slow.md").write_text(runbook_text("slow").replace("risk: low", "risk: lwo # <b>"))
    browser = enter(Role.VIEWER)
    page = browser.get("/runbooks/slow")
    assert page.status == 200
    assert "this is the last version that was whole" in page.text
    assert "slow.md:7 risk: no such value 'lwo'; did you mean 'low'?" in page.text
    assert "7 | risk: lwo # <b>" in page.text
    listed = browser.get("/runbooks")
    assert "1 in force" in listed.text
    assert "in force as it last was whole" in listed.text
    found = api("/runbooks")
    assert found["mistakes"] == found["items"][0]["mistakes"]
    assert len(found["mistakes"]) == 1
    assert world.ready == {"database": "ok", "diagnosis": "ok", "targets": "ok"}


def test_the_list_shows_the_record_and_whose_it_is(world: World, enter: Enter) -> None:
    put(world)
    put(world, name="idle")
    cited(world)
    page = enter(Role.VIEWER).get("/runbooks")
    assert "this site's" in page.text
    assert "cited 1, used 1, verified 1, undone 0" in page.text
    assert "never cited" in page.text


def test_the_same_by_api(world: World, api: Any) -> None:
    put(world)
    incident_id = cited(world)
    found = api("/runbooks/slow")
    assert found["record"] == {"cited": 1, "used": 1, "verified": 1, "undone": 0}
    assert [one["incident_id"] for one in found["cited_by"]] == [incident_id]
    assert found["cited_by"][0]["section"] == "fix"
    assert (found["today"]["looked_at"], len(found["today"]["matches"])) == (1, 1)
    assert found["today"]["matches"][0]["signal"] == "timed out"
    assert [one["anchor"] for one in found["sections"]][:2] == ["symptoms", "confirm"]
    assert (found["own"], found["strategy"], found["mistakes"]) == (True, RETRY, [])
    assert "there is no runbook gone" in api("/runbooks/gone", 404)["detail"]


def test_the_section_that_a_diagnosis_cites_is_linked_from_the_incident(world: World, enter: Enter) -> None:
    put(world)
    incident_id = cited(world, "slow#roll-back")
    browser = enter(Role.VIEWER)
    assert "/runbooks/slow#roll-back" in browser.get(f"/incidents/{incident_id}").links()
    ids = {given.get("id") for _, given in browser.get("/runbooks/slow").tags}
    assert "roll-back" in ids
