"""Killed and started again as a whole: events over HTTP, models, pages, and the trail that people read.

A few cases only; `test_kills.py` has them all on the engine alone.
"""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.remediation.remediate import Point
from tests.scenes import SCENES
from tests.server import Body, Mendline, outcomes, until

pytestmark = pytest.mark.server

SCENE = {scene.strategy: scene for scene in SCENES}


@pytest.mark.parametrize(
    ("strategy", "point"),
    [
        ("retry_with_exponential_backoff", Point.ACTED),
        ("recover_service", Point.INTENT_STORED),
        ("run_data_validation_and_cleanup", Point.UNDONE),
        ("run_deduplication_script", Point.SNAPSHOT_TAKEN),
    ],
)
def test_it_survives(site: Mendline, tmp_path: Path, strategy: str, point: Point) -> None:
    scene = SCENE[strategy](tmp_path / "scene")
    try:
        target = scene.register(site, "broken")
        undoing = point is Point.UNDONE
        die(site, strategy, Point.RECEIPT_STORED if undoing else point)
        incident_id = site.api.report(scene.message, target)
        assert site.await_end() == -signal.SIGKILL
        if undoing:
            scene.disprove(site, "broken")
            (site.data / "crashed").unlink()
            die(site, strategy, point)
            assert site.await_end() == -signal.SIGKILL
        site.start()
        if undoing:
            trail = site.api.ended(incident_id)
            scene.as_before()
        else:
            trail = site.api.wait(incident_id, lambda t: t["incident"]["state"] == "resolved")
            scene.mended(site.backups(trail))
        check(site, trail, strategy, "undone" if undoing else "verified")
    finally:
        scene.close()


def die(site: Mendline, strategy: str, point: Point) -> None:
    """Starts a server that is killed when a repair with `strategy` reaches `point`."""
    site.start(pipeline__crash_at=f"{point}:{strategy}")


def check(site: Mendline, trail: Body, strategy: str, ended: str) -> None:
    """One repair, one end, each act told once; and stopping in order finds nothing more to do."""
    (repair,) = trail["repairs"]
    assert repair["remediation"]["strategy"] == strategy
    assert [outcome["ended"] for outcome in outcomes(trail)] == [ended]
    kinds = [(entry["kind"], entry["step"]) for entry in repair["journal"] if entry["kind"] != "check"]
    assert len(kinds) == len(set(kinds)), kinds
    learned = 1 if ended == "verified" else 0
    until(lambda: count(site, "knowledge_case WHERE origin = 'outcome'") == learned)
    assert site.stop() == 0
    assert count(site, "outcome") == count(site, f"outcome WHERE ended = '{ended}'") == 1
    assert count(site, "remediation") == 1


def count(site: Mendline, what: str) -> int:
    """Rows of a table."""
    with closing(sqlite3.connect(f"file:{site.database}?mode=ro", uri=True)) as database:
        found: int = database.execute(f"SELECT count(*) FROM {what}").fetchone()[0]
        return found
