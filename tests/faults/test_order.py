"""Repairs of one target come one after the other, whatever happens in between."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.scenes import Job
from tests.server import Body, Mendline, outcomes, until

pytestmark = pytest.mark.server


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A job whose runs end when the test says so."""
    job = Job(tmp_path / "job", fail=0)
    job.server.status = "running"
    yield job
    job.close()


def under_way(job: Job) -> list[Body]:
    return [run for run in job.server.runs.values() if "status" not in run]


def span(trail: Body) -> tuple[datetime, datetime]:
    """From the first entry of the journal to the outcome."""
    (repair,) = trail["repairs"]
    began = min(datetime.fromisoformat(entry["at"]) for entry in repair["journal"])
    return began, datetime.fromisoformat(repair["outcome"]["at"])


def finish_one(site: Mendline, job: Job, incidents: list[str]) -> None:
    """Lets the one run under way succeed and waits for the outcome that follows from it."""

    def ended() -> int:
        return sum(len(outcomes(site.api.trail(incident_id))) for incident_id in incidents)

    going, before = under_way(job), ended()
    assert len(going) == 1, "two runs of one job at once"
    going[0]["status"] = "succeeded"
    until(lambda: ended() > before)


@pytest.mark.parametrize("killed", [False, True], ids=["running on", "killed in between"])
def test_incidents_of_one_target_never_overlap(site: Mendline, job: Job, killed: bool) -> None:
    target = job.register(site, "shared")
    site.start()
    found = [site.api.report(f"{job.message} {what}", target) for what in ("once", "again", "and again")]
    for incident_id in found:
        site.api.wait(incident_id, lambda t: t["repairs"])
    for place in range(len(found)):
        until(lambda: bool(under_way(job)))
        if killed and place == 1:
            site.kill()
            site.start()
        finish_one(site, job, found)
    trails = [site.api.ended(incident_id) for incident_id in found]
    assert [outcome["ended"] for trail in trails for outcome in outcomes(trail)] == ["verified"] * 3
    spans = sorted(span(trail) for trail in trails)
    for (_, before), (after, _) in pairwise(spans):
        assert before <= after
    assert job.server.acted == 3
    assert set(job.server.asked.values()) == {1}


def test_what_is_under_way_when_it_is_stopped_goes_on_after_the_next_start(site: Mendline, job: Job) -> None:
    target = job.register(site, "shared")
    site.start()
    incident_id = site.api.report(f"{job.message} once", target)
    until(lambda: bool(under_way(job)))
    assert site.stop() == 0
    site.start()
    finish_one(site, job, [incident_id])
    assert [outcome["ended"] for outcome in outcomes(site.api.ended(incident_id))] == ["verified"]
    assert job.server.acted == 1


def test_incidents_of_two_targets_do(site: Mendline, job: Job) -> None:
    """So that the test above proves something."""
    site.start()
    for name in ("one", "two"):
        site.api.report(job.message, job.register(site, name))
    until(lambda: len(under_way(job)) == 2)
