"""From an event to a page and a ticket, by the running service, and back to closed once it is repaired."""

import pytest
import yaml

from tests.channels import FarJira, FarPagerDuty
from tests.scenes import Job, Make
from tests.server import Mendline, outcomes, until

pytestmark = pytest.mark.server


def test_a_pager_and_a_ticket_follow_an_incident_over_a_restart(
    lone: Mendline, scene: Make, name: str
) -> None:
    job = scene(Job)
    pager, tickets = FarPagerDuty(), FarJira()
    channels = {}
    for key, far in (("pager", pager), ("tickets", tickets)):
        (lone.data / key).write_text(far.secret)
        channels[key] = far.entry(str(lone.data / key))
    route = {"owner": "tests", "to": ["pager", "tickets"]}
    (lone.data / "people.yaml").write_text(yaml.safe_dump({"channels": channels, "routes": [route]}))
    with pager.running(), tickets.running():
        lone.start()
        tickets.answers = [(503, {})] * 3
        incident_id = lone.api.report(job.message, job.register(lone, name, environment="ask"))
        approval = lone.api.asked(incident_id)
        until(lambda: pager.alerts.get(incident_id, {}).get("state") == "triggered")
        lone.kill()
        done = lone.cli("approve", approval["id"], "--reason", "seen")
        assert done.code == 0, done.err
        lone.start()
        assert outcomes(lone.api.ended(incident_id))[0]["ended"] == "verified"
        until(lambda: pager.alerts[incident_id]["state"] == "resolved")
        until(lambda: [one["status"] for one in tickets.issues.values()] == ["30"])
        assert (pager.alerts[incident_id]["pages"], pager.problems, tickets.problems) == (1, [], [])
        told = {(one["channel"], one["message"]["kind"]) for one in lone.api.trail(incident_id)["told"]}
        assert {("pager", "waiting"), ("tickets", "waiting"), ("tickets", "verified")} <= told
        said = lone.cli("explain", incident_id)
        assert "waiting to tickets  delivered" in said.out
