"""Killed at every named point of every strategy's repair, and started again on the same data.

The cases come from `Point` and `STRATEGIES` themselves. They spend their time waiting for signals to hold,
so a few run at once beside the tests, which wait for theirs.
"""

import signal
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from app.remediation.plan import ESCALATE
from app.remediation.remediate import Point
from app.remediation.strategies import STRATEGIES
from tests.scenes import SCENES
from tests.server import Body, Mendline, install, outcomes, until

pytestmark = pytest.mark.server

# A repair that helps passes by these; one that is disproved goes through them.
UNDOING = (Point.UNDONE, Point.UNDO_STORED)
SCENE = {scene.strategy: scene for scene in SCENES}
CASES = [(strategy.id, point) for strategy in STRATEGIES if strategy.id != ESCALATE for point in Point]
AT_ONCE = 3

Case = tuple[str, Point]


@pytest.fixture(scope="module")
def kills(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Case, Future[None]]]:
    """The chosen cases under way, in the order of their tests."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen: list[Case] = [(p["strategy"], p["point"]) for p in params if "point" in p]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {case: pool.submit(survive, tmp_path_factory.mktemp(case[1].value), *case) for case in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("strategy", "point"), CASES)
def test_it_survives(kills: Mapping[Case, Future[None]], strategy: str, point: Point) -> None:
    kills[strategy, point].result()


def survive(folder: Path, strategy: str, point: Point) -> None:
    """One repair that is killed at `point`. Afterwards it has ended, once, and the far side is whole."""
    site, scene = install(folder), SCENE[strategy](folder / "scene")
    try:
        target = scene.register(site, "broken")
        undoing = point in UNDOING
        die(site, strategy, Point.RECEIPT_STORED if undoing else point)
        incident_id = site.api.report(scene.message, target)
        if scene.asks:
            site.api.agree(incident_id)
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
            trail = scene.ended(site, incident_id)
            scene.mended(site.backups(trail))
        check(site, trail, strategy, "undone" if undoing else scene.ends)
    finally:
        site.end()
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
    site.stop()
    assert count(site, "outcome") == count(site, f"outcome WHERE ended = '{ended}'") == 1
    assert count(site, "remediation") == 1


def count(site: Mendline, what: str) -> int:
    """Rows of a table."""
    with closing(sqlite3.connect(f"file:{site.database}?mode=ro", uri=True)) as database:
        found: int = database.execute(f"SELECT count(*) FROM {what}").fetchone()[0]
        return found
