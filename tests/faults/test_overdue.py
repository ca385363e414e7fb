"""A right that a repair could not take back is taken back by the next start, once its time is over."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.playbooks import install_with, runbook
from tests.scenes import Job, MissingRight
from tests.server import Mendline, outcomes, until

pytestmark = pytest.mark.server


def its_time_is_over(site: Mendline) -> None:
    """As if the quarter of an hour of every grant had passed."""
    with closing(sqlite3.connect(site.database)) as database, database:
        database.execute(
            "UPDATE remediation_journal SET body = json_set(body, '$.data.until', '2026-11-20T12:00:00Z') "
            "WHERE kind = 'snapshot' AND json_extract(body, '$.data.until') IS NOT NULL"
        )


def test_the_start_takes_back_what_is_overdue(site: Mendline, tmp_path: Path) -> None:
    scene = MissingRight(tmp_path / "scene")
    try:
        target = scene.register(site, "loader")
        site.start()
        scene.vault.fail("revoke")
        incident_id = site.api.report(scene.message, target)
        site.api.approve(incident_id)
        assert outcomes(site.api.ended(incident_id))[0]["ended"] == "stuck"
        assert scene.vault.holds["granted"] != {}
        site.stop()
        scene.vault.fail("revoke", "")
        its_time_is_over(site)
        site.start()
        until(lambda: scene.vault.holds["granted"] == {})
        trail = site.api.wait(
            incident_id, lambda t: [e["kind"] for e in t["repairs"][0]["journal"]].count("undo") == 2
        )
        assert "for its time was over" in trail["repairs"][0]["journal"][-1]["body"]
        assert scene.server.acted == 1
    finally:
        scene.close()


def test_a_playbook_killed_between_grant_and_receipt_leaves_nothing_granted(tmp_path: Path) -> None:
    scene, job = MissingRight(tmp_path / "scene"), Job(tmp_path / "job", fail=0)
    actions = (
        "strategy: retry_with_exponential_backoff\nparams: {tries: 1, first_delay: 0}",
        f"strategy: {scene.strategy}\ntarget: rights",
    )
    name = "a-right-is-missing"
    site = install_with(
        tmp_path / "site",
        name,
        runbook(name, scene.message, [scene.type, "network_timeout"], actions, "high"),
    )
    try:
        scene.register(site, "loader")
        target = site.register("load", job.connection, job.strategy, partners={"rights": "shop/grant/loader"})
        site.start(pipeline__crash_at=f"acted:{scene.strategy}")
        incident_id = site.api.report(scene.message, target)
        site.api.approve(incident_id)
        assert site.await_end() == -signal.SIGKILL
        assert scene.vault.holds["granted"] != {}
        its_time_is_over(site)
        site.start()
        trail = site.api.ended(incident_id)
        until(lambda: scene.vault.holds["granted"] == {})
        (repair,) = trail["repairs"]
        assert repair["remediation"]["strategy"] == f"playbook:{name}"
        # The engine that resumes and the sweep may both come to it; the journal tells of it once.
        (taken_back,) = [
            entry for entry in repair["journal"] if entry["kind"] == "undo" and entry["step"] == 1
        ]
        assert "was taken back" in taken_back["body"]
        assert len(scene.vault.asked("grant")) == 1
        assert scene.server.acted == 0
    finally:
        site.end()
        scene.close()
        job.close()
