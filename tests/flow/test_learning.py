"""What was verified or corrected counts from the next event on, without a restart."""

import json
from typing import Any

import pytest

from tests.scenes import Job, Make, Receiver
from tests.server import Body, Mendline, outcomes

pytestmark = pytest.mark.server


def record(site: Mendline, strategy: str) -> Body:
    """What the command line says of a strategy."""
    done = site.cli("strategy", "list", "--json")
    assert done.code == 0, done.err
    found: Body = next(row for row in json.loads(done.out) if row["strategy"] == strategy)
    return found


def finding(diagnosis: Body, scorer: str) -> Any:
    return next(f for f in diagnosis["findings"] if f["scorer"].startswith(scorer))


def test_a_verified_repair_is_evidence_for_the_next_event(
    site: Mendline, receiver: Receiver, scene: Make, name: str
) -> None:
    job = scene(Job)
    message = "read timed out at the tide gauge of Cuxhaven, pier four, after 12 s"
    target = job.register(site, name)
    before = record(site, job.strategy)
    asked = {"message": f"{message} again"}
    assert not finding(site.api.post("/diagnose", asked), "own_cases")["contributes"]
    incident_id = site.api.report(message, target)
    assert outcomes(site.api.ended(incident_id))[0]["ended"] == "verified"
    receiver.about(incident_id, "verified")  # people are told once it is learned
    diagnosis = site.api.wait(
        site.api.report(f"{message} again", target), lambda t: t["diagnoses"] and t["diagnoses"][0]
    )["diagnoses"][0]
    own = finding(diagnosis, "own_cases")
    assert own["contributes"]
    assert (own["evidence"][0]["quote"], own["evidence"][0]["type"]) == (message, "network_timeout")
    assert "helped" in own["evidence"][0]["says"]
    choice = next(c for c in diagnosis["choices"] if c["strategy"] == job.strategy)
    after = record(site, job.strategy)
    assert after["trials"] > before["trials"]
    assert after["successes"] > before["successes"]
    assert before["successes"] < choice["successes"] <= after["successes"]


def test_a_correction_changes_the_next_answer_at_once(site: Mendline, name: str) -> None:
    message = "the lighthouse keeper sees duplicate rows in the tide table of Wangerooge"
    asked = {"message": message}
    assert site.api.post("/diagnose", asked)["type"] == "data_duplication"
    incident_id = site.api.report(message)
    body = {"type": "configuration_error", "reason": "the table was imported with the wrong flag"}
    case = site.api.post(f"/incidents/{incident_id}/correction", body)
    assert (case["origin"], case["type"]) == ("correction", "configuration_error")
    after = site.api.post("/diagnose", asked)
    assert after["type"] == "configuration_error"
    assert "wrong flag" in finding(after, "own_cases")["evidence"][0]["says"]
    assert site.api.trail(incident_id)["label"]["type"] == "configuration_error"


def test_an_unknown_type_is_no_correction(site: Mendline) -> None:
    incident_id = site.api.report("something odd at the tide gauge")
    answer = site.api.send("POST", f"/incidents/{incident_id}/correction", {"type": "gremlins"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "network_timeout" in answer.json()["errors"][0]["says"]
