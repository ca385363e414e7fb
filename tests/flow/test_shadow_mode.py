"""Shadow in the whole service: a mode that was set just now holds, and the past is decided again as it was."""

import json

import pytest

from tests.scenes import Job, Make, Receiver
from tests.server import Mendline, outcomes

pytestmark = pytest.mark.server


def test_in_shadow_a_person_is_told_and_nothing_runs(
    site: Mendline, receiver: Receiver, scene: Make, name: str
) -> None:
    job = scene(Job)
    assert isinstance(job, Job)
    target = job.register(site, name, environment="twilight")
    wanted = {"environment": "twilight", "mode": "shadow", "reason": "a trial"}
    assert site.api.send("PUT", "/modes", wanted).status_code == 200
    incident_id = site.api.report(job.message, target)
    trail = site.api.ended(incident_id)
    assert [decision["effect"] for decision in trail["decisions"]] == ["shadow"]
    assert outcomes(trail)[0]["ended"] == "handed_over"
    told = receiver.about(incident_id, "escalated")["text"]
    assert "in shadow by admin: a trial; live, it runs" in told
    assert f"The plan: run {name} again" in told
    assert job.server.acted == 0

    site.api.post(f"/incidents/{incident_id}/correction", {"type": job.type, "reason": "seen in the log"})
    (one,) = [one for one in site.api.get("/shadow")["decisions"] if one["incident_id"] == incident_id]
    assert (one["score"], one["would"]) == ("clean", "act")
    # Under the policy in force all that this server decided comes out as it was, to the word.
    again = json.loads(site.cli("policy", "replay", "--json").out)
    assert (again["changes"], again["unknown"]) == ([], 0)
    assert again["same"] == again["decided"] > 0

    assert site.cli("mode", "default", "--environment", "twilight").code == 0
    trail = site.api.ended(site.api.report(f"{job.message} once more", target))
    assert outcomes(trail)[0]["ended"] == "verified"
    job.mended(site.backups(trail))
