"""`/metrics`: what it shows of what happened, and nothing of what an event says."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.people.person import Role
from tests.web.conftest import Enter, World


def shown(world: World) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by name and labels."""
    text = TestClient(world.app).get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_gauges_are_what_is_stored_now(world: World) -> None:
    world.asked()
    world.clock.advance(timedelta(minutes=7))
    before = shown(world)
    assert before["mendline_approval_oldest_seconds", ()] == 420
    assert before["mendline_approvals_waiting", ()] == 1
    assert before["mendline_incidents_open", (("state", "firing"),)] == 1
    assert before["mendline_part_ok", (("part", "people"),)] == 1
    world.directory.path.write_text("people: [{name: ada, role: boss}]")
    world.ready = {**world.ready, "diagnosis": "loading"}
    after = shown(world)
    assert after["mendline_part_ok", (("part", "people"),)] == 0
    assert after["mendline_part_ok", (("part", "diagnosis"),)] == 0
    assert after["mendline_part_ok", (("part", "database"),)] == 1


def test_requests_are_told_by_template(world: World, enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    browser.get("/incidents/inc_of_somebody")
    browser.get("/nothing/here/canary")
    client = TestClient(world.app)
    client.get("/api/v1/incidents/inc_canary", headers={"Authorization": f"Bearer {world.key(Role.ADMIN)}"})
    client.request("CANARY", "/")
    told = {labels for name, labels in shown(world) if name == "mendline_http_request_seconds_count"}
    routes = {dict(labels)["route"] for labels in told}
    assert {"/incidents/{incident_id}", "/api/v1/incidents/{incident_id}", "none", "/sign-in"} <= routes
    assert "canary" not in str(told).lower()
    assert "somebody" not in str(told)


def test_refused_events_are_counted_and_other_refusals_are_not(world: World) -> None:
    def refused() -> dict[str, float]:
        found = shown(world).items()
        return {
            dict(labels)["reason"]: n
            for (name, labels), n in found
            if name == "mendline_events_refused_total"
        }

    client = TestClient(world.app)
    headers = {"Authorization": f"Bearer {world.key(Role.ADMIN)}"}
    before = refused()
    client.get("/api/v1/incidents/inc_1", headers=headers)
    client.post("/api/v1/pause", json={})
    assert refused() == before
    client.post("/api/v1/events", json={"message": "x"})
    client.post("/api/v1/events", json=[{"message": "x"}, {}, {"message": ""}], headers=headers)
    after = refused()
    assert after["not_signed_in"] - before.get("not_signed_in", 0) == 1
    assert after["invalid"] - before.get("invalid", 0) == 2
