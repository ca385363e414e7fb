"""A right that a repair could not take back is taken back by the next start, once its time is over."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.scenes import MissingRight
from tests.server import Mendline, outcomes, until

pytestmark = pytest.mark.server


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
        with closing(sqlite3.connect(site.database)) as database, database:
            # As if its quarter of an hour were over.
            database.execute(
                "UPDATE remediation_journal SET body = json_set(body, '$.data.until', '2026-11-20T12:00:00Z') "
                "WHERE kind = 'snapshot'"
            )
        site.start()
        until(lambda: scene.vault.holds["granted"] == {})
        trail = site.api.wait(
            incident_id, lambda t: [e["kind"] for e in t["repairs"][0]["journal"]].count("undo") == 2
        )
        assert "for its time was over" in trail["repairs"][0]["journal"][-1]["body"]
        assert scene.server.acted == 1
    finally:
        scene.close()
