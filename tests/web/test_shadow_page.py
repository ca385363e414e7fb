"""Modes and the shadow report, by API and as the page shows them."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.decision.decision import Effect
from app.incidents.incident import State
from app.incidents.lifecycle import advance
from app.people.person import Role
from tests import situations
from tests.web.conftest import Enter, World

RETRY = situations.RETRY


class Caller:
    """Somebody at the API."""

    def __init__(self, world: World, role: Role) -> None:
        self._client = TestClient(world.app)
        self._headers = {"Authorization": f"Bearer {world.key(role, f'api-{role}')}"}

    def get(self, path: str) -> Any:
        answer = self._client.get(f"/api/v1{path}", headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, **body: str) -> Any:
        return self._client.put("/api/v1/modes", json=body, headers=self._headers)


@pytest.fixture
def admin(world: World) -> Caller:
    return Caller(world, Role.ADMIN)


def shadowed(world: World, message: str = "connection to db timed out") -> str:
    """An incident that was decided in shadow."""
    incident_id = world.incident(message)
    world.diagnose(incident_id)
    world.decide(incident_id, Effect.SHADOW, says="tells a person and does not act: in shadow by ada")
    world.clock.advance(timedelta(minutes=1))
    return incident_id


class TestModes:
    def test_an_admin_sets_them_and_everybody_reads_them(self, world: World, admin: Caller) -> None:
        assert admin.get("/modes") == {"items": [], "shadow_from_risk": None}
        answer = admin.put(strategy=RETRY, environment="production", mode="shadow", reason="a trial")
        assert answer.status_code == 200
        (one,) = Caller(world, Role.VIEWER).get("/modes")["items"]
        assert (one["strategy"], one["type"], one["environment"], one["mode"]) == (
            RETRY,
            "",
            "production",
            "shadow",
        )
        assert (one["actor"], one["reason"]) == ("api-admin", "a trial")
        assert one["at"].startswith("2026-11-20T12:00")
        admin.put(strategy=RETRY, environment="production", mode="default")
        assert admin.get("/modes")["items"] == []

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.APPROVER])
    def test_nobody_else_sets_them(self, world: World, role: Role) -> None:
        assert Caller(world, role).put(mode="shadow").status_code == 403

    @pytest.mark.parametrize("body", [{}, {"mode": "dark"}, {"mode": "shadow", "strategy": "prayer"}])
    def test_what_makes_no_sense_is_refused(self, admin: Caller, body: dict[str, str]) -> None:
        assert admin.put(**body).status_code == 422
        assert admin.get("/modes")["items"] == []

    def test_strategies_tell_theirs(self, admin: Caller) -> None:
        admin.put(mode="shadow")
        admin.put(mode="live", strategy=RETRY, environment="staging")
        modes = {one["strategy"]: one["mode"] for one in admin.get("/strategies")["items"]}
        assert modes[RETRY] == "shadow, live in staging"
        assert modes["recover_service"] == "shadow"


class TestReport:
    def test_scored_by_what_people_said(self, world: World, admin: Caller) -> None:
        said = {"network_timeout": "clean", "permission_denied": "wrong", "": "open"}
        scores = {}
        for number, (type_, score) in enumerate(said.items()):
            incident_id = shadowed(world, f"connection to db {number} timed out")
            scores[incident_id] = score
            if type_:
                world.parts.learn.correct(incident_id, type_, actor="ada", reason="the log says so")
        found = admin.get("/shadow")
        assert {one["incident_id"]: one["score"] for one in found["decisions"]} == scores
        (one,) = found["strategies"]
        assert (one["decisions"], one["clean"], one["wrong"], one["open"]) == (3, 1, 1, 1)
        assert (one["precision"], one["guarantee"]["outcomes"]) == (0.5, 2)
        first = found["decisions"][0]
        assert first["links"]["incident"] == f"/api/v1/incidents/{first['incident_id']}"
        # They count for the guarantee wherever it is told.
        records = {one["strategy"]: one for one in admin.get("/strategies")["items"]}
        assert (records[RETRY]["guarantee"]["outcomes"], records[RETRY]["guarantee"]["wrong"]) == (2, 1)

    def test_only_so_many_days(self, world: World, admin: Caller) -> None:
        shadowed(world)
        world.clock.advance(timedelta(days=2))
        assert len(admin.get("/shadow?days=3")["decisions"]) == 1
        assert admin.get("/shadow?days=1")["decisions"] == []


class TestPage:
    def test_before_anything_was_decided_in_shadow(self, enter: Enter) -> None:
        page = enter(Role.VIEWER).get("/shadow")
        assert "Nothing was decided in shadow" in page.text
        assert all(action != "/shadow/modes" for action, _ in page.forms)

    def test_what_would_have_been_wrong_leads_to_its_incident(self, world: World, enter: Enter) -> None:
        incident_id = shadowed(world)
        with world.database.writing() as session:
            at = world.clock.now()
            advance(session, incident_id, State.RESOLVED, actor="source:airflow", reason="it runs", at=at)
        page = enter(Role.VIEWER).get("/shadow")
        assert "it went away before anybody touched it" in page.text
        assert f"/incidents/{incident_id}" in page.links()
        assert "0 % at least 0 %" in page.text

    def test_the_incident_s_page_says_so(self, world: World, enter: Enter) -> None:
        page = enter(Role.VIEWER).get(f"/incidents/{shadowed(world)}")
        assert "Tells a person and does not act: in shadow by ada" in page.text

    def test_an_admin_sets_a_mode_there(self, world: World, enter: Enter, admin: Caller) -> None:
        browser = enter(Role.ADMIN)
        fields = {"strategy": RETRY, "type": "network_timeout", "environment": "<b>", "mode": "shadow"}
        done = browser.submit(browser.get("/shadow"), "/shadow/modes", **fields, reason="a trial")
        assert f"{RETRY} is set to shadow" in done.text
        (one,) = admin.get("/modes")["items"]
        assert (one["type"], one["environment"], one["mode"]) == ("network_timeout", "<b>", "shadow")
        assert "live, shadow for network_timeout in <b>" in browser.get("/strategies").text
        wrong = browser.submit(browser.get("/shadow"), "/shadow/modes", mode="dark")
        assert "The mode cannot be set" in wrong.text

    def test_nobody_else_does(self, enter: Enter) -> None:
        browser = enter(Role.APPROVER)
        fields = browser.get("/").form("/pause") | {"mode": "shadow"}
        assert browser.post("/shadow/modes", fields).status == 403
