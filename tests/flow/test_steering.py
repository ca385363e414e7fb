"""Pausing stops every start of a repair, and only the start."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.scenes import Job, Make, Receiver
from tests.server import Mendline, outcomes, until

pytestmark = pytest.mark.server


@pytest.fixture
def pausing(site: Mendline) -> Iterator[Mendline]:
    """The shared server, which is running again afterwards."""
    yield site
    site.api.post("/pause", {"paused": False})


@pytest.fixture
def job(scene: Make) -> Job:
    made = scene(Job)
    assert isinstance(made, Job)
    return made


def test_paused_nothing_starts_and_resumed_it_does(
    pausing: Mendline, receiver: Receiver, job: Job, name: str
) -> None:
    target = job.register(pausing, name)
    said = pausing.api.post("/pause", {"paused": True, "reason": "audit"})["paused"]
    assert "audit" in said
    held = pausing.api.report(job.message, target)
    trail = pausing.api.ended(held)
    assert outcomes(trail)[0]["ended"] == "handed_over"
    assert "audit" in receiver.about(held, "escalated")["text"]
    assert job.server.acted == 0
    assert pausing.api.post("/pause", {"paused": False})["paused"] is None
    trail = pausing.api.ended(pausing.api.report(f"{job.message} once more", target))
    assert outcomes(trail)[0]["ended"] == "verified"
    job.mended(pausing.backups(trail))


def test_paused_on_the_command_line_a_queued_repair_is_stopped_and_one_under_way_ends(
    pausing: Mendline, job: Job, name: str
) -> None:
    job.server.status, job.server.fail = "running", 0
    target = job.register(pausing, name)
    under_way = pausing.api.report(job.message, target)
    until(lambda: job.server.acted == 1)
    queued = pausing.api.report(f"{job.message} and returns", target)
    pausing.api.wait(queued, lambda t: t["repairs"])
    assert pausing.cli("pause", "--reason", "audit").code == 0
    job.server.status = "succeeded"
    assert outcomes(pausing.api.ended(under_way))[0]["ended"] == "verified"
    (outcome,) = outcomes(pausing.api.ended(queued))
    assert (outcome["ended"], "audit" in outcome["says"]) == ("stopped", True)
    assert job.server.acted == 1
    assert pausing.cli("resume").code == 0
    assert pausing.api.get("/pause")["paused"] is None


def test_an_approval_does_not_pass_a_pause(pausing: Mendline, job: Job, name: str) -> None:
    incident_id = pausing.api.report(job.message, job.register(pausing, name, environment="ask"))
    approval = pausing.api.asked(incident_id)
    pausing.api.post("/pause", {"paused": True, "reason": "audit"})
    pausing.api.post(f"/approvals/{approval['id']}/approve", {})
    assert outcomes(pausing.api.ended(incident_id))[0]["ended"] == "handed_over"
    assert job.server.acted == 0


def test_once_a_pause_is_answered_nothing_starts_in_the_databases_own_order(
    pausing: Mendline, job: Job, name: str
) -> None:
    """Looks at which repairs had taken their target when the answer came, not at clocks."""
    job.server.fail = 0
    targets = [job.register(pausing, f"{name}-{n}") for n in range(16)]
    found = [pausing.api.report(f"{job.message}, {n}", target) for n, target in enumerate(targets)]
    until(lambda: job.server.acted > 0)
    pausing.api.post("/pause", {"paused": True, "reason": "audit"})
    with closing(sqlite3.connect(f"file:{pausing.database}?mode=ro", uri=True)) as rows:
        started = "SELECT {} FROM {}"
        before = {
            one
            for table, column in (
                ("held_target", "by"),
                ("remediation_journal", "remediation_id"),
                ("outcome", "remediation_id"),
            )
            for (one,) in rows.execute(started.format(column, table))
        }
    trails = [pausing.api.ended(incident_id) for incident_id in found]
    ran = {
        repair["remediation"]["id"]
        for trail in trails
        for repair in trail["repairs"]
        if repair["outcome"]["ended"] not in ("stopped", "handed_over")
    }
    assert ran
    assert ran <= before
    assert job.server.acted == len(ran)
