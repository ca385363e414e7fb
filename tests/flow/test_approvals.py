"""A plan waits for a person, who answers once; what follows from each answer."""

import json

import pytest

from tests.scenes import DirtyFile, Job, Make, Receiver, RepeatedRows
from tests.server import Api, Body, Mendline, outcomes, until

pytestmark = pytest.mark.server


def ask(site: Mendline, job: Job, name: str) -> tuple[str, Body]:
    """An incident whose plan waits, and the approval."""
    incident_id = site.api.report(job.message, job.register(site, name, environment="ask"))
    approval = site.api.asked(incident_id)
    assert job.server.acted == 0
    return incident_id, approval


@pytest.fixture
def job(scene: Make) -> Job:
    made = scene(Job)
    assert isinstance(made, Job)
    return made


def test_approved_by_api_it_runs_and_is_verified(
    site: Mendline, receiver: Receiver, job: Job, name: str
) -> None:
    incident_id, approval = ask(site, job, name)
    assert "may this run?" in receiver.about(incident_id, "waiting")["text"]
    assert approval["id"] in [item["id"] for item in site.api.get("/approvals")["items"]]
    body = {"plan_hash": approval["plan_hash"], "reason": "the warehouse is back"}
    given = site.api.post(f"/approvals/{approval['id']}/approve", body)
    assert (given["answer"], given["actor"]) == ("approved", "admin")
    trail = site.api.ended(incident_id)
    assert outcomes(trail)[0]["ended"] == "verified"
    assert trail["repairs"][0]["remediation"]["approved_by"] == "admin"
    assert [decision["effect"] for decision in trail["decisions"]] == ["ask", "act"]
    assert trail["decisions"][0]["plan"] == trail["decisions"][1]["plan"]
    job.mended(site.backups(trail))


def test_approved_on_the_command_line_while_the_server_runs(site: Mendline, job: Job, name: str) -> None:
    incident_id, approval = ask(site, job, name)
    listed = site.cli("approvals", "--json")
    assert approval["id"] in [item["id"] for item in json.loads(listed.out)]
    done = site.cli("approve", approval["id"], "--reason", "looks right", "--plan", approval["plan_hash"])
    assert done.code == 0, done.err
    trail = site.api.ended(incident_id)
    assert outcomes(trail)[0]["ended"] == "verified"
    assert trail["repairs"][0]["remediation"]["approved_by"].startswith("cli")
    again = site.cli("approve", approval["id"])
    assert (again.code, "has answered already" in again.err) == (1, True)


def test_the_second_answer_is_a_conflict(site: Mendline, job: Job, name: str) -> None:
    incident_id, approval = ask(site, job, name)
    site.api.post(f"/approvals/{approval['id']}/deny", {})
    for verb in ("approve", "deny"):
        answer = site.api.send("POST", f"/approvals/{approval['id']}/{verb}", {})
        assert (answer.status_code, answer.json()["code"]) == (409, "already_answered")
        assert "admin has answered already: denied" in answer.json()["detail"]
    assert site.api.get(f"/approvals/{approval['id']}")["answer"] == "denied"
    assert outcomes(site.api.trail(incident_id)) == []


def test_an_answer_to_another_plan_is_a_conflict(site: Mendline, job: Job, name: str) -> None:
    incident_id, approval = ask(site, job, name)
    answer = site.api.send("POST", f"/approvals/{approval['id']}/approve", {"plan_hash": "0" * 16})
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_changed")
    assert site.api.asked(incident_id)["id"] == approval["id"]
    assert job.server.acted == 0


def test_a_plan_that_changed_after_it_was_shown_is_asked_anew(site: Mendline, scene: Make, name: str) -> None:
    table = scene(RepeatedRows)
    incident_id = site.api.report(table.message, table.register(site, name, environment="ask"))
    approval = site.api.asked(incident_id)
    table.disprove(site, name)  # one more row repeats now: not what is being approved
    site.api.post(f"/approvals/{approval['id']}/approve", {"plan_hash": approval["plan_hash"]})
    trail = site.api.wait(incident_id, lambda t: len(t["approvals"]) == 2)
    second = site.api.asked(incident_id)
    assert second["plan_hash"] != approval["plan_hash"]
    table.as_before()
    assert trail["repairs"] == []
    site.api.post(f"/approvals/{second['id']}/approve", {"plan_hash": second["plan_hash"]})
    trail = site.api.ended(incident_id)
    assert outcomes(trail)[0]["ended"] == "verified"
    table.mended(site.backups(trail))


def test_denied_it_is_left_to_a_person(site: Mendline, receiver: Receiver, job: Job, name: str) -> None:
    incident_id, approval = ask(site, job, name)
    site.api.post(f"/approvals/{approval['id']}/deny", {"reason": "the load must not run twice today"})
    told = receiver.about(incident_id, "escalated")
    assert "admin said no: the load must not run twice today" in told["text"]
    trail = site.api.trail(incident_id)
    assert (trail["repairs"], trail["incident"]["state"]) == ([], "firing")
    assert job.server.acted == 0


def test_denied_with_the_right_type_it_is_diagnosed_again(site: Mendline, scene: Make, name: str) -> None:
    file = scene(DirtyFile)
    # No other test says anything like it: what is learned from the answer stays on the shared server.
    message = "expected column swell of type number but schema has string, says the buoy off Baltrum"
    incident_id = site.api.report(message, file.register(site, name, environment="ask"))
    approval = site.api.asked(incident_id)
    body = {"right_type": "data_corruption", "reason": "the schema is right, the buoy sends rubbish"}
    site.api.post(f"/approvals/{approval['id']}/deny", body)
    trail = site.api.wait(incident_id, lambda t: len(t["approvals"]) == 2)
    assert [diagnosis["type"] for diagnosis in trail["diagnoses"]] == ["schema_mismatch", "data_corruption"]
    assert trail["label"] == {"type": "data_corruption", "actor": "admin", "reason": body["reason"]}
    file.as_before()
    site.api.post(f"/approvals/{site.api.asked(incident_id)['id']}/approve", {})
    trail = site.api.ended(incident_id)
    assert outcomes(trail)[0]["ended"] == "verified"
    file.mended(site.backups(trail))


def test_a_right_type_that_does_not_exist_is_no_answer(site: Mendline, job: Job, name: str) -> None:
    incident_id, approval = ask(site, job, name)
    answer = site.api.send("POST", f"/approvals/{approval['id']}/deny", {"right_type": "gremlins"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert site.api.asked(incident_id)["id"] == approval["id"]


def test_nobody_answers_and_it_expires_to_a_person(strict: Mendline, job: Job, name: str) -> None:
    incident_id = strict.api.report(job.message, job.register(strict, name, environment="ask"))
    trail = strict.api.wait(incident_id, lambda t: t["approvals"] and t["approvals"][0]["answer"])
    (approval,) = trail["approvals"]
    assert (approval["answer"], approval["actor"]) == ("expired", "mendline")
    late = strict.api.send("POST", f"/approvals/{approval['id']}/approve", {})
    assert (late.status_code, late.json()["code"]) == (409, "already_answered")
    until(
        lambda: any(
            incident_id in line and "nobody answered in time" in line for line in strict.log.split("\n")
        )
    )
    trail = strict.api.trail(incident_id)
    assert (trail["repairs"], trail["incident"]["state"]) == ([], "firing")
    assert job.server.acted == 0


def test_it_waits_over_a_crash_and_a_restart(lone: Mendline, job: Job, name: str) -> None:
    lone.start()
    incident_id, approval = ask(lone, job, name)
    lone.kill()
    done = lone.cli("approve", approval["id"])  # nobody serves now; the answer waits too
    assert done.code == 0, done.err
    lone.start()
    trail = lone.api.ended(incident_id)
    assert outcomes(trail)[0]["ended"] == "verified"
    job.mended(lone.backups(trail))


def test_where_two_must_say_yes_the_second_person_lets_it_run(
    site: Mendline, receiver: Receiver, job: Job, name: str
) -> None:
    incident_id = site.api.report(job.message, job.register(site, name, environment="ask-two"))
    approval = site.api.asked(incident_id)
    assert approval["people"] == 2
    assert "Two different persons must say yes." in receiver.about(incident_id, "waiting")["text"]
    to = f"/approvals/{approval['id']}/approve"
    first = site.api.post(to, {"plan_hash": approval["plan_hash"], "reason": "seen"})
    assert (first["answer"], [yes["actor"] for yes in first["yeses"]]) == (None, ["admin"])
    again = site.api.send("POST", to, {})
    assert (again.status_code, again.json()["code"]) == (409, "already_answered")
    assert "admin has said yes already; this plan needs 2 different persons" in again.json()["detail"]
    (listed,) = (
        one for one in json.loads(site.cli("approvals", "--json").out) if one["id"] == approval["id"]
    )
    assert [yes["actor"] for yes in listed["yeses"]] == ["admin"]
    assert job.server.acted == 0
    bob = Api(site.url, site.new_key(f"bob-{name}", "approver"))
    try:
        bob.post(to, {"plan_hash": approval["plan_hash"]})
    finally:
        bob.close()
    trail = site.api.ended(incident_id)
    assert outcomes(trail)[0]["ended"] == "verified"
    assert trail["repairs"][0]["remediation"]["approved_by"] == f"admin and bob-{name}"
    assert job.server.acted == job._fail + 1
    told = receiver.about(incident_id, "verified")["text"]
    assert (
        "until it may run alone" in told or "of its actions are wrong" in told or "lets it run alone" in told
    )
