"""Killed at every named point of every strategy's repair, and started again on the same data.

The cases come from `Point` and `STRATEGIES` themselves. Each is a process with the durable engine and nothing
else (`tests.engine`); `test_kills_whole.py` has a few through the whole service. They spend their time waiting
for signals to hold, so a few run at once beside the tests, which wait for theirs.
"""

import shutil
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import func, select

from app.db.engine import Database, sqlite_url
from app.incidents import store as incidents
from app.incidents.incident import State
from app.knowledge.tables import CaseRow
from app.remediation.outcome import Ended
from app.remediation.plan import ESCALATE
from app.remediation.remediate import Point
from app.remediation.store import Kind
from app.remediation.strategies import STRATEGIES
from tests.engine import repairs, report
from tests.scenes import SCENES, Scene
from tests.server import Mendline

pytestmark = pytest.mark.server

# A repair that helps passes by these; one that is disproved goes through them.
UNDOING = (Point.UNDONE, Point.UNDO_STORED)
SCENE = {scene.strategy: scene for scene in SCENES}
ONCE = [(strategy.id, point, 1) for strategy in STRATEGIES if strategy.id != ESCALATE for point in Point]
# One for each kind of undo: nothing to undo, a process, a file, rows. Each dies again while it recovers.
AGAIN = (
    "retry_with_exponential_backoff",
    "recover_service",
    "run_data_validation_and_cleanup",
    "run_deduplication_script",
)
TWICE = [(strategy, point, 2) for strategy in AGAIN for point in Point]
AT_ONCE = 4

Case = tuple[str, Point, int]


@pytest.fixture(scope="module")
def kills(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bare: Mendline
) -> Iterator[Mapping[Case, Future[None]]]:
    """The chosen cases under way, in the order of their tests."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen: list[Case] = [(p["strategy"], p["point"], p["times"]) for p in params if "times" in p]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        folders = [tmp_path_factory.mktemp(point.value) for _, point, _ in chosen]
        yield {
            case: pool.submit(survive, bare, folder, *case)
            for case, folder in zip(chosen, folders, strict=True)
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("strategy", "point", "times"), ONCE + TWICE)
def test_it_survives(kills: Mapping[Case, Future[None]], strategy: str, point: Point, times: int) -> None:
    kills[strategy, point, times].result()


def survive(bare: Mendline, folder: Path, strategy: str, point: Point, times: int) -> None:
    """One repair that is killed at `point`, and perhaps once more at the next one that it reaches after that."""
    shutil.copytree(bare.data, folder / "data")
    site, scene = Mendline(folder, bare.knowledge, **bare.settings | {"data_dir": folder / "data"}), None
    try:
        scene = SCENE[strategy](folder / "scene")
        target = scene.register(site, "broken")
        with closing(Database(sqlite_url(site.database))) as database:
            (incident_id,) = report(database, scene.message, [target])
        undoing = point in UNDOING
        die(site, scene, Point.RECEIPT_STORED if undoing else point)
        if undoing:
            scene.disprove(site, "broken")
            die(site, scene, point)
        for _ in range(times - 1):
            die(site, scene, "any")
        site.start_engine(strategy, scene.type, "--until-ended")
        assert site.await_end() == 0, site.log[-5000:]
        check(site, scene, incident_id, undone=undoing)
    finally:
        site.end()
        if scene is not None:
            scene.close()


def die(site: Mendline, scene: Scene, point: str) -> None:
    """Starts the engine, which is killed when it reaches `point`."""
    (site.data / "crashed").unlink(missing_ok=True)
    site.start_engine(
        scene.strategy, scene.type, "--until-ended", pipeline__crash_at=f"{point}:{scene.strategy}"
    )
    assert site.await_end() == -signal.SIGKILL, site.log[-5000:]


def check(site: Mendline, scene: Scene, incident_id: str, *, undone: bool) -> None:
    """One repair, one end, each act told once, and the far side is whole."""
    with closing(Database(sqlite_url(site.database))) as database:
        (repair,) = repairs(database)
        with database.reading() as session:
            state = incidents.get(session, incident_id).state
            learned = session.exec(select(func.count()).select_from(CaseRow)).one()
    assert repair.outcome is not None
    ends = Ended.UNDONE if undone else Ended(scene.ends)
    assert repair.outcome.ended is ends, repair
    assert state is (State.RESOLVED if ends is Ended.VERIFIED else State.FIRING)
    assert learned == (1 if ends is Ended.VERIFIED else 0)
    told = [(entry.kind, entry.step) for entry in repair.journal if entry.kind is not Kind.CHECK]
    assert len(told) == len(set(told)), told
    if undone:
        scene.as_before()
    else:
        scene.mended(site.data / "backups" / repair.remediation.id)
