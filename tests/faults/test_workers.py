"""Several workers on one Postgres: each repair once, one at a time per target, also when one of them dies."""

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, text

from app.db.engine import Database
from app.db.migrate import migrate
from app.db.names import Names, lock_file
from app.remediation.outcome import Ended
from tests.doubles import Quiet, Served
from tests.engine import Repair, repairs, report
from tests.scenes import Job
from tests.server import Child, Mendline, install, nursery, outcomes, until

pytestmark = pytest.mark.server

TARGETS, INCIDENTS = 6, 30
RUNS = 0.2  # seconds that a run takes
STRATEGY = Job.strategy


class Shop(Served):
    """A job system in which a run takes its time. It acts once per key, and counts what overlaps on a target."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.runs: dict[str, tuple[str, float]] = {}  # by key: its target and when it ends
        self.overlaps = 0
        self._lock = threading.Lock()
        shop = self

        class Handler(Quiet):
            def do_POST(self) -> None:
                self.body()
                shop.start(self.path.split("/")[1], self.headers["Idempotency-Key"])
                self.answer(201, shop.tell(self.headers["Idempotency-Key"]))

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                key = parse_qs(url.query)["key"][0] if url.query else url.path.rpartition("/")[2]
                self.answer(200, shop.tell(key)) if key in shop.runs else self.answer(404)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self, target: str, key: str) -> None:
        now = time.monotonic()
        with self._lock:
            self.asked[key] += 1
            if key not in self.runs:
                self.overlaps += any(other == target and ends > now for other, ends in self.runs.values())
                self.runs[key] = (target, now + RUNS)

    def tell(self, key: str) -> dict[str, str]:
        return {"id": key, "status": "running" if time.monotonic() < self.runs[key][1] else "succeeded"}

    def job(self, target: str) -> dict[str, Any]:
        """The connection of a job here."""
        own = f"{self.url}/{target}"
        return {
            "type": "http_job",
            "run": f"{own}/runs",
            "status": f"{own}/runs/{{run}}",
            "lookup": f"{own}/lookup",
        }


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop().running() as shop:
        yield shop


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"test_{uuid4().hex[:12]}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_url.replace("/postgres?", f"/{name}?")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


class Crew:
    """Workers of one site, by name."""

    def __init__(self, site: Mendline, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._alive: dict[str, Child] = {}

    def start(self, name: str, *args: str, module: str = "tests.engine") -> None:
        environment = self._site._environment({**self._site.settings, "pipeline__executor": name})
        out, err = self._folder / f"{name}.out", self._folder / "log"
        out.unlink(missing_ok=True)
        self._alive[name] = nursery().start(list(args) or [STRATEGY, Job.type], environment, out, err, module)
        until(lambda: out.exists() and bool(out.read_text()), what=f"the start of {name}")

    def kill(self, name: str) -> None:
        os.kill(self._alive[name].pid, signal.SIGKILL)
        assert self.await_end(name) == -signal.SIGKILL

    def await_end(self, name: str) -> int | None:
        """The exit code of one that ends by itself."""
        worker = self._alive.pop(name)
        until(lambda: worker.poll() is not None)
        return worker.poll()

    def end(self) -> None:
        for worker in self._alive.values():
            os.kill(worker.pid, signal.SIGTERM)
        for name, worker in self._alive.items():
            until(lambda worker=worker: worker.poll() is not None, what=f"the end of {name}")  # type: ignore[misc]


@pytest.fixture
def crew(tmp_path: Path, bare: Mendline) -> Iterator[Callable[..., Crew]]:
    made: list[Crew] = []

    def make(url: str, shop: Shop, **settings: Any) -> Crew:
        site = Mendline(tmp_path, bare.knowledge, db__url=url, **settings)
        for number in range(TARGETS):
            name = f"job-{number}"
            site.register(name, shop.job(name), STRATEGY, defaults={STRATEGY: {"first_delay": 0}})
        made.append(Crew(site, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.end()


def begin(database: Database) -> None:
    """Thirty incidents on six targets, all at once."""
    targets = [
        {"system": "shop", "kind": "http_job", "name": f"job-{number % TARGETS}"}
        for number in range(INCIDENTS)
    ]
    for number in range(INCIDENTS // TARGETS):
        words = ("orders", "bills", "clicks", "mails", "stocks")
        report(
            database, f"loading {words[number]} timed out", targets[number * TARGETS : (number + 1) * TARGETS]
        )


def ended(database: Database) -> list[Repair]:
    return [repair for repair in repairs(database) if repair.outcome]


def under_way(database: Database, name: str) -> bool:
    """Whether a repair that acts is in the hands of that worker."""
    query = (
        "SELECT count(*) FROM dbos.workflow_status JOIN remediation "
        "ON workflow_uuid LIKE '%' || remediation.incident_id || '%' "
        "JOIN held_target ON held_target.by = remediation.id "
        f"WHERE status = 'PENDING' AND executor_id = '{name}'"
    )
    with database.engine.connect() as connection:
        return bool(connection.execute(text(query)).scalar())


@pytest.mark.parametrize("back", [True, False], ids=["replaced", "taken over"])
def test_one_of_three_is_killed(url: str, shop: Shop, crew: Callable[..., Crew], back: bool) -> None:
    names = ("one", "two", "three")
    team = crew(url, shop, pipeline__take_over_seconds=60 if back else 1)
    with closing(Database(url)) as database:
        migrate(database)
        for name in names:
            team.start(name)
        begin(database)
        until(lambda: len(ended(database)) >= 4 and under_way(database, "two"), 60)
        team.kill("two")
        if back:
            team.start("two")
        until(lambda: len(ended(database)) == INCIDENTS, 90, "all outcomes")
        found = ended(database)
        with database.engine.connect() as connection:
            worked = set(connection.execute(text("SELECT executor_id FROM dbos.workflow_status")).scalars())
    assert [repair.outcome.ended for repair in found if repair.outcome] == [Ended.VERIFIED] * INCIDENTS
    assert worked == set(names) if back else worked >= {"one", "three"}
    assert set(shop.asked.values()) == {1}, "asked twice"
    assert len(shop.runs) == INCIDENTS, "lost or doubled"
    assert shop.overlaps == 0
    spans: dict[str, list[Any]] = {}
    for repair in found:
        assert repair.outcome is not None
        began = min(entry.at for entry in repair.journal)
        spans.setdefault(repair.remediation.target, []).append((began, repair.outcome.at))
    assert len(spans) == TARGETS
    for of_target in spans.values():
        for (_, before), (after, _) in pairwise(sorted(of_target)):
            assert before <= after


def test_the_whole_service_and_a_worker_beside_it(url: str, tmp_path: Path) -> None:
    """The server dies when it has taken the event; the worker, which only tells its metrics, does the rest."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    site = install(tmp_path / "site", db__url=url, pipeline__take_over_seconds=1, web__metrics_port=port)
    team, job = Crew(site, tmp_path), Job(tmp_path / "job")
    try:
        target = job.register(site, "nightly")
        site.start()
        team.start("beside", "worker", "beside", module="app.cli")
        incident_id = site.api.report(job.message, target)
        site.kill()
        with closing(Database(url)) as database:
            until(lambda: bool(ended(database)), 60)
        shown = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        assert 'mendline_worker_info{name="beside"} 1.0' in shown
        assert 'mendline_part_ok{part="database"} 1.0' in shown
        assert "mendline_decision_to_act_seconds_count 1.0" in shown
        site.start()
        trail = site.api.wait(incident_id, lambda t: t["incident"]["state"] == "resolved")
        assert [outcome["ended"] for outcome in outcomes(trail)] == ["verified"]
        job.mended(site.backups(trail))
        assert site.api.get("/incidents")["items"][0]["id"] == incident_id
        assert site.stop() == 0
    finally:
        team.end()
        site.end()
        job.close()


def test_a_worker_that_lost_its_name_ends_itself(url: str, shop: Shop, crew: Callable[..., Crew]) -> None:
    """Others may have taken over what it does: two pairs of hands on one target are worse than none."""
    team = crew(url, shop, pipeline__take_over_seconds=1)
    team.start("lonely")
    thief = Names(url)
    with closing(Database(url)) as database, database.engine.connect() as connection:
        holders = text(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database() AND pid <> pg_backend_pid()"
        )

        def stolen() -> bool:
            connection.execute(holders)
            return thief.take("lonely")

        until(stolen)
        assert team.await_end("lonely") == 70
    thief.close()


class TestNames:
    def test_one_process_has_a_name_until_it_ends(self, postgres_url: str) -> None:
        first, second = Names(postgres_url), Names(postgres_url)
        assert first.take("a")
        assert first.take("a")
        assert not second.take("a")
        assert second.take("b")
        first.give_back("a")
        assert second.take("a")
        second.close()
        until(lambda: first.take("b"))
        first.close()

    def test_a_broken_connection_is_no_name_and_is_made_anew(self, postgres_url: str) -> None:
        names, server = Names(postgres_url), create_engine(postgres_url, isolation_level="AUTOCOMMIT")
        assert names.take("c")
        with server.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            )
        server.dispose()
        assert not names.take("c")
        until(lambda: names.take("c"))
        names.close()

    def test_a_file_is_locked_until_it_is_closed(self, tmp_path: Path) -> None:
        first = lock_file(tmp_path / "lock")
        assert first is not None
        assert lock_file(tmp_path / "lock") is None
        first.close()
        again = lock_file(tmp_path / "lock")
        assert again is not None
        again.close()
