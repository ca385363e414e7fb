"""What a process of a former version left under way is not lost, and not done twice."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dbos import DBOSClient

from app.db.engine import Database, sqlite_url
from app.incidents import store as incidents
from app.remediation.outcome import Ended
from app.remediation.remediate import Point
from tests.engine import Repair, repairs, report
from tests.scenes import Job
from tests.server import Mendline, nursery, until

pytestmark = pytest.mark.server


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path / "job", fail=0)
    yield made
    made.close()


@pytest.fixture
def site(bare: Mendline, tmp_path: Path) -> Iterator[Mendline]:
    shutil.copytree(bare.data, tmp_path / "data")
    made = Mendline(tmp_path, bare.knowledge, **bare.settings | {"data_dir": tmp_path / "data"})
    yield made
    made.end()


def begin(site: Mendline, *told: str) -> None:
    """Has a former version begin with it, and be killed."""
    folder = site.data.parent
    settings = {f"MENDLINE_{name.upper()}": str(value) for name, value in site.settings.items()}
    child = nursery().start(
        list(told), settings, folder / "former-out", folder / "former-log", "tests.former"
    )
    until(lambda: child.poll() is not None, 40, "its end")
    assert (folder / "former-log").read_text() == ""


def run(site: Mendline, **settings: object) -> int:
    site.start_engine(Job.strategy, Job.type, "--until-ended", **settings)
    return site.await_end()


def only(site: Mendline) -> Repair:
    with closing(Database(sqlite_url(site.database))) as database:
        (repair,) = repairs(database)
    return repair


def left(site: Mendline) -> list[str]:
    client = DBOSClient(system_database_url=sqlite_url(site.data / "engine.db"))
    found = client.list_workflows(status=["PENDING", "ENQUEUED"])
    client.destroy()
    return [workflow.workflow_id for workflow in found]


def test_an_incident_that_was_being_diagnosed(site: Mendline, job: Job) -> None:
    with closing(Database(sqlite_url(site.database))) as database:
        (incident_id,) = report(database, job.message, [job.register(site, "broken")])
        with database.writing() as session:
            incidents.mark_handled(session, incident_id, 1)
    begin(site, f"heal heal:{incident_id}:1 {incident_id} 1")
    assert left(site) == [f"heal:{incident_id}:1"]
    assert run(site) == 0, site.log
    outcome = only(site).outcome
    assert (outcome and outcome.ended, job.server.acted, left(site)) == (Ended.VERIFIED, 1, [])


@pytest.mark.parametrize("point", [Point.BEGUN, Point.ACTED, Point.RECEIPT_STORED])
def test_a_repair_that_was_under_way(site: Mendline, job: Job, point: Point) -> None:
    with closing(Database(sqlite_url(site.database))) as database:
        report(database, job.message, [job.register(site, "broken")])
    assert run(site, pipeline__crash_at=point) == -signal.SIGKILL
    id_ = only(site).remediation.id
    # Of the engine only what the former version knew of it is left.
    for file in site.data.glob("engine.db*"):
        file.unlink()
    begin(site, f"repair {id_} {id_}")
    assert run(site) == 0, site.log
    outcome = only(site).outcome
    assert (outcome and outcome.ended, job.server.acted, left(site)) == (Ended.VERIFIED, 1, [])
    assert run(site) == 0, "and once more finds nothing to do"
    assert job.server.acted == 1
