"""A playbook of three actions on real targets: helps, fails at the last and is undone, is undone by a person."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playbooks import MESSAGE, NAME, Chain, install_with_playbook
from tests.server import Mendline, outcomes

pytestmark = pytest.mark.server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Mendline]:
    site = install_with_playbook(tmp_path / "site")
    site.start()
    yield site
    site.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "far"


def test_it_repairs_shows_all_before_and_is_undone_by_a_person(site: Mendline, folder: Path) -> None:
    chain = Chain(folder, fail=1)
    try:
        incident_id = site.api.report(MESSAGE, chain.register(site))
        trail = site.api.ended(incident_id)
        (decision,), (outcome,) = trail["decisions"], outcomes(trail)
        plan = decision["plan"]
        assert (plan["strategy"], plan["risk"], len(plan["steps"])) == (NAME, "medium", 3)
        assert [action["plan"]["target"] for action in plan["actions"]] == [
            "shop/file/measurements",
            "shop/table/orders",
            "shop/http_job/load",
        ]
        assert outcome["ended"] == "verified", outcome
        # The first run fails; what helps is the second try of the third action, under a key of its own.
        assert [action["result"] for action in outcome["actions"]] == ["verified"] * 3
        assert chain.job.server.acted == 2
        chain.mended(site.backups(trail))
        before = json.loads(site.cli("strategy", "list", "--json").out)
        assert next(one for one in before if one["strategy"] == NAME)["successes"] == 1

        remediation_id = trail["repairs"][0]["remediation"]["id"]
        viewer = site.new_key("watcher", "operator")
        path = f"/remediations/{remediation_id}/undo"
        refused = site.api.send("POST", path, {}, headers={"Authorization": f"Bearer {viewer}"})
        assert refused.status_code == 403
        done = site.cli("undo", remediation_id, "--reason", "the numbers were right")
        assert done.code == 0, done.err
        trail = site.api.wait(incident_id, lambda t: (t["repairs"][0]["undo"] or {}).get("done") is not None)
        assert trail["repairs"][0]["undo"]["done"] is True, trail["repairs"][0]["undo"]
        chain.as_before()
        again = site.api.send("POST", path, {"reason": "again"})
        assert again.status_code == 409
        assert "asked for it already" in again.text
        trail = site.api.wait(incident_id, lambda t: t["incident"]["state"] == "firing")
        assert "the numbers were right" in trail["transitions"][-1]["reason"]
        asked = [entry for entry in trail["repairs"][0]["journal"] if entry["kind"] == "asked"]
        assert "had it undone: the numbers were right" in asked[0]["body"]
        assert len(trail["repairs"]) == 1, "what a person took back is not done again by itself"
        after = json.loads(site.cli("strategy", "list", "--json").out)
        record = next(one for one in after if one["strategy"] == NAME)
        assert (record["successes"], record["trials"]) == (0, 1)
        explained = site.cli("explain", incident_id).out
        assert "was undone" in explained
    finally:
        chain.close()


def test_it_fails_at_the_last_and_is_undone_backwards(site: Mendline, folder: Path) -> None:
    chain = Chain(folder, fail=100)
    try:
        incident_id = site.api.report(MESSAGE, chain.register(site))
        trail = site.api.ended(incident_id)
        (outcome,) = outcomes(trail)
        assert outcome["ended"] == "undone", outcome
        assert [action["result"] for action in outcome["actions"]] == ["verified", "verified", "failed"]
        assert all(action["undone"] for action in outcome["actions"])
        undone = [entry["step"] for entry in trail["repairs"][0]["journal"] if entry["kind"] == "undo"]
        assert undone == [2, 3, 1, 0]  # both tries of the job, then the table, then the file
        chain.as_before()
        assert chain.job.server.acted == 2
        refused = site.api.send("POST", f"/remediations/{outcome['remediation_id']}/undo", {})
        assert refused.status_code == 409
        assert "nothing that it did stands" in refused.text
    finally:
        chain.close()
