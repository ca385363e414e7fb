"""A playbook that is killed between two of its actions, and between two of their undoings."""

import signal
from pathlib import Path

import pytest

from app.remediation.remediate import Point
from tests.playbooks import MESSAGE, NAME, Chain, install_with_playbook
from tests.server import outcomes

pytestmark = pytest.mark.server

DEDUPLICATE = "run_deduplication_script"


@pytest.mark.parametrize(
    ("point", "strategy", "fail"),
    [
        (Point.BEGUN, DEDUPLICATE, 0),  # the first action is done, the second not begun
        (Point.ACTED, DEDUPLICATE, 0),  # in the second, which nothing but the table tells of
        (Point.UNDO_STORED, DEDUPLICATE, 100),  # the second is undone, the first not yet
    ],
    ids=["between actions", "within the second", "between undoings"],
)
def test_it_survives(tmp_path: Path, point: Point, strategy: str, fail: int) -> None:
    site, chain = install_with_playbook(tmp_path / "site"), Chain(tmp_path / "far", fail)
    try:
        site.start(pipeline__crash_at=f"{point}:{strategy}")
        incident_id = site.api.report(MESSAGE, chain.register(site))
        assert site.await_end() == -signal.SIGKILL
        site.start()
        trail = site.api.ended(incident_id)
        (repair,), (outcome,) = trail["repairs"], outcomes(trail)
        assert (repair["remediation"]["strategy"], outcome["ended"]) == (
            NAME,
            "undone" if fail else "verified",
        )
        kinds = [(e["kind"], e["step"]) for e in repair["journal"] if e["kind"] != "check"]
        assert len(kinds) == len(set(kinds)), kinds
        if fail:
            chain.as_before()
        else:
            chain.mended(site.backups(trail))
        assert set(chain.job.server.asked.values()) <= {1}
        assert chain.job.server.acted == (2 if fail else 1)
    finally:
        site.end()
        chain.close()
