"""An event goes in, a verified repair comes out: once for each strategy, on something real."""

from pathlib import Path

import pytest

from tests.scenes import SCENES, Job, Make, Receiver, Scene
from tests.server import Mendline, outcomes

pytestmark = pytest.mark.server


@pytest.mark.parametrize("kind", SCENES, ids=lambda kind: kind.strategy)
def test_it_repairs_and_verifies(
    site: Mendline, receiver: Receiver, scene: Make, name: str, kind: type[Scene]
) -> None:
    broken = scene(kind)
    incident_id = site.api.report(broken.message, broken.register(site, name))
    if broken.asks:
        site.api.approve(incident_id)
    trail = broken.ended(site, incident_id)
    (diagnosis,), (repair,) = trail["diagnoses"], trail["repairs"]
    assert diagnosis["type"] == broken.type
    assert [made["effect"] for made in trail["decisions"]] == (["ask", "act"] if broken.asks else ["act"])
    assert trail["decisions"][-1]["plan"]["strategy"] == broken.strategy
    assert repair["remediation"]["approved_by"] == ("admin" if broken.asks else "")
    assert repair["outcome"]["ended"] == broken.ends
    assert [entry["kind"] for entry in repair["journal"]][:3] == ["snapshot", "intent", "receipt"]
    assert len(trail["approvals"]) == broken.asks
    if broken.ends == "verified":
        assert trail["transitions"][-1]["actor"] == f"strategy:{broken.strategy}"
    else:
        assert trail["incident"]["state"] == "firing"
        assert "the incident stays open" in receiver.about(incident_id, broken.ends)["text"]
    broken.mended(site.backups(trail))


def test_a_job_is_run_until_a_run_succeeds(site: Mendline, tmp_path: Path, name: str) -> None:
    job = Job(tmp_path / "job", fail=2)
    try:
        trail = site.api.ended(site.api.report(job.message, job.register(site, name)))
        (outcome,) = outcomes(trail)
        assert (outcome["ended"], outcome["says"]) == ("verified", "run run-3 succeeded")
        job.mended(site.backups(trail))
    finally:
        job.close()


def test_a_job_that_never_succeeds_ends_undone(
    site: Mendline, receiver: Receiver, tmp_path: Path, name: str
) -> None:
    job = Job(tmp_path / "job", fail=100)
    try:
        incident_id = site.api.report(job.message, job.register(site, name))
        (outcome,) = outcomes(site.api.ended(incident_id))
        assert outcome["ended"] == "undone"
        assert "nothing to undo" in outcome["undone"]
        assert job.server.acted == job.defaults["tries"]
        assert site.api.trail(incident_id)["incident"]["state"] == "firing"
        assert "ended undone" in receiver.about(incident_id, "undone")["text"]
    finally:
        job.close()


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("403 Access Denied: the role may not read this bucket", "when nothing better can be done"),
        (
            "java.lang.NullPointerException at com.example.Cart.sum",
            "an unknown kind of error is never guessed",
        ),
        (Job.message, "the target is not registered"),
    ],
)
def test_what_no_strategy_can_do_is_left_to_a_person(
    site: Mendline, receiver: Receiver, name: str, message: str, why: str
) -> None:
    incident_id = site.api.report(message, {"system": "shop", "kind": "http_job", "name": name})
    trail = site.api.ended(incident_id)
    (outcome,) = outcomes(trail)
    assert (outcome["strategy"], outcome["ended"]) == ("escalate_to_human", "handed_over")
    assert trail["incident"]["state"] == "firing"
    told = receiver.about(incident_id, "escalated")
    assert why in told["text"]
    assert told["title"] == message


def test_one_line_of_the_policy_holds_a_repair_back(site: Mendline, scene: Make, name: str) -> None:
    job = scene(Job)
    incident_id = site.api.report(job.message, job.register(site, name, environment="frozen"))
    trail = site.api.ended(incident_id)
    assert trail["decisions"][0]["effect"] == "escalate"
    assert "the test wants nothing to happen" in trail["decisions"][0]["says"]
    assert outcomes(trail)[0]["ended"] == "handed_over"
    assert isinstance(job, Job)
    assert job.server.acted == 0
