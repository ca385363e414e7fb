"""Whole repairs through the durable engine: how many a second, how soon the first act, none lost or doubled.

Each incident has a target of its own; its repair asks a job system, another process, to run a job, which counts
by key. Diagnosing is told, and costs nothing: the bench `diagnose` measures that. On SQLite, and on Postgres with
one and three workers. Then a restart of the whole service with thousands of approvals waiting.
"""

import argparse
import http.client
import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from scripts.benches._common import (
    START_WITHIN,
    Running,
    data_folder,
    milliseconds,
    new_key,
    server,
    serving,
    until,
)
from scripts.benches._incidents import make_incidents
from scripts.benches._postgres import postgres
from scripts.benches._worker import STRATEGY

_WARM_UP = 20
_WITHIN = 600.0  # seconds for all repairs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--incidents", type=int, default=500, help="repairs at once")
    parser.add_argument("--idle", type=int, default=30, help="repairs one after the other")
    parser.add_argument("--approvals", type=int, default=10_000, help="that wait while it restarts")
    parser.add_argument("--on", choices=["all", "sqlite", "postgres"], default="all")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rates count from the commit of the incidents to the last outcome; first acts as the far side saw them."""
    found: dict[str, Any] = {"incidents": options.incidents}
    if options.on != "postgres":
        found["sqlite"] = _repairs(options, "", 1)
    if options.on != "sqlite":
        for workers in (1, 3):
            with postgres() as url:
                found[f"postgres_{workers}"] = _repairs(options, url, workers)
    if options.approvals:
        found["restart"] = _restart(options.prepared, options.approvals)
    return found


def _repairs(options: argparse.Namespace, url: str, workers: int) -> dict[str, Any]:
    from app.db.engine import Database, sqlite_url
    from app.db.migrate import migrate

    with ExitStack() as stack:
        folder = stack.enter_context(data_folder(None))
        jobs = stack.enter_context(_running("_jobs", folder / "jobs", {}))
        host, port = jobs.address()
        _register(folder, f"http://{host}:{port}", options.incidents)
        database = stack.enter_context(closing(Database(url or sqlite_url(folder / "mendline.db"))))
        migrate(database)
        settings = {
            "MENDLINE_DATA_DIR": str(folder),
            "MENDLINE_DB__URL": url,
            # What is measured is the machinery; the governor would stop such a storm at once.
            "MENDLINE_DECISION__COOLDOWN_MOST": "100",
            "MENDLINE_DECISION__REPEAT_MOST": "1000",
            "MENDLINE_DECISION__CHAIN_MOST": "1000",
            "MENDLINE_DECISION__BLAST_SHARE": "1",
            "MENDLINE_DECISION__CAP_PER_TARGET": "10000",
            "MENDLINE_DECISION__CAP_PER_STRATEGY": "10000",
            "MENDLINE_DECISION__CAP_PER_SITE": "10000",
        }
        crew = [
            stack.enter_context(
                _running("_worker", folder / name, settings | {"MENDLINE_PIPELINE__EXECUTOR": name})
            )
            for name in [f"worker-{number}" for number in range(workers)]
        ]
        for worker in crew:
            until(lambda worker=worker: worker.says("works"), 120, "a worker's start")  # type: ignore[misc]
        targets = range(options.incidents)
        _repair_all(database, "warm up", targets[:_WARM_UP])
        # One by one, each begun when the one before has its outcome.
        for number in range(options.idle):
            _repair_all(database, f"idle {number}", [number % options.incidents])
        idle = _first_acts(database, host, port, "idle%")
        used = sum(worker.cpu() for worker in crew)
        took = _repair_all(database, "flood", targets)
        used = sum(worker.cpu() for worker in crew) - used
        asked = json.load(urllib.request.urlopen(f"http://{host}:{port}/asked", timeout=30))
        begun = len(_keys(database, "%"))
        return {
            "workers": workers,
            "repairs_per_second": round(options.incidents / took, 1),
            "seconds": round(took, 2),
            "worker_cpu_ms_per_repair": round(used / options.incidents * 1000, 1),
            "decision_to_first_act_ms": {
                "idle": milliseconds(idle),
                "all_at_once": milliseconds(_first_acts(database, host, port, "flood%")),
            },
            "lost": begun - len(asked) + _unresolved(database),
            "doubled": sum(key["times"] - 1 for key in asked.values()),
        }


@contextmanager
def _running(module: str, folder: Path, settings: dict[str, str]) -> Iterator[Running]:
    folder.mkdir()
    running = Running([sys.executable, "-m", f"scripts.benches.{module}"], folder, settings)
    try:
        yield running
    finally:
        running.stop()


def _register(folder: Path, jobs: str, count: int) -> None:
    targets = [
        {
            "system": "bench",
            "kind": "job",
            "name": f"job-{number}",
            "connection": {"type": "http_job", "run": f"{jobs}/job-{number}/runs", "idempotent": True},
            "allow": [STRATEGY],
            "defaults": {STRATEGY: {"first_delay": 0}},
        }
        for number in range(count)
    ]
    # JSON is YAML.
    (folder / "targets.yaml").write_text(json.dumps({"targets": targets}))


def _repair_all(database: Any, word: str, targets: Any) -> float:
    """Opens an incident on each target and waits for all the outcomes; the seconds from commit to the last."""
    from app.foundation.clock import SystemClock
    from app.incidents.group import Group
    from app.intake.event import Report, Target
    from app.intake.ingest import prepare

    now = SystemClock().now()
    made = [
        prepare(
            Report(
                message="the job timed out",
                fingerprint=f"{word} {number}",
                title=f"{word} {number}",
                target=Target(system="bench", kind="job", name=f"job-{number}"),
            ),
            "bench",
            now,
        )
        for number in targets
    ]
    before = _count(database, "outcome")
    Group(database, SystemClock(), lambda opened: None).commit(made)
    began = time.perf_counter()
    every = 0.01 if len(made) == 1 else 0.1
    until(lambda: _count(database, "outcome") >= before + len(made), _WITHIN, "every outcome", every=every)
    return time.perf_counter() - began


def _rows(database: Any, query: str, *given: Any) -> list[Any]:
    with database.engine.connect() as connection:
        if connection.dialect.paramstyle != "qmark":
            query = query.replace("?", "%s")
        return list(connection.exec_driver_sql(query, given))


def _count(database: Any, table: str) -> int:
    count: int = _rows(database, f"SELECT count(*) FROM {table}")[0][0]
    return count


def _unresolved(database: Any) -> int:
    """The incidents that were not repaired, once the last of them had time to be concluded."""
    query = "SELECT count(*) FROM incident WHERE state <> 'resolved'"
    until(lambda: not _rows(database, query)[0][0], 30, "the last conclusion", every=0.1)
    return int(_rows(database, query)[0][0])


def _keys(database: Any, title: str) -> dict[str, float]:
    """By the key of a repair's first act, when it was decided, in seconds since 1970."""
    from app.foundation.ids import derived_id

    query = (
        "SELECT remediation.id, decision.at FROM remediation JOIN decision ON decision.id = decision_id "
        "JOIN incident ON incident.id = remediation.incident_id WHERE title LIKE ?"
    )
    return {derived_id("key", id_, "0"): at / 1e6 for id_, at in _rows(database, query, title)}


def _first_acts(database: Any, host: str, port: int, title: str) -> list[float]:
    """Seconds from each decision until the far side was asked."""
    asked = json.load(urllib.request.urlopen(f"http://{host}:{port}/asked", timeout=30))
    return [asked[key]["first"] - decided for key, decided in _keys(database, title).items()]


def _restart(prepared: Path | None, approvals: int) -> dict[str, Any]:
    """The whole service, started again: with nothing that waits, and with `approvals` that do."""
    with data_folder(prepared) as folder:
        with server(folder):
            pass  # it learns, where nothing was prepared
        key = new_key(folder, "approver")
        none = _start(folder, key, 0)
        make_incidents(folder, approvals, first=0, handled=True)
        _ask_all(folder)
        return {"approvals": approvals, "none": none, "waiting": _start(folder, key, approvals)}


def _start(folder: Path, key: str, approvals: int) -> dict[str, float]:
    """Seconds from the command until each answer is 200."""
    (folder / "server.log").unlink()
    began = time.perf_counter()
    running = serving(folder)
    found: dict[str, float] = {}
    try:
        for name, answers in (
            ("healthz_s", lambda: running.answers("/healthz")),
            ("approvals_s", lambda: _waiting(running, key) == min(approvals, 100)),
            ("readyz_s", lambda: running.answers("/readyz")),
        ):
            until(answers, START_WITHIN, name, every=0.02)
            found[name] = round(time.perf_counter() - began, 2)
    finally:
        running.stop()
    return found


def _waiting(running: Running, key: str) -> int:
    """How many approvals the API lists."""
    connection = http.client.HTTPConnection(*running.address(), timeout=30)
    try:
        connection.request("GET", "/api/v1/approvals", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return len(json.loads(answer.read())["items"]) if answer.status == 200 else -1
    except OSError:
        return -1
    finally:
        connection.close()


def _ask_all(folder: Path) -> None:
    """Has every incident's plan wait for a person, for a day."""
    from app.remediation import approve
    from app.settings import read_settings
    from app.wiring import open_store

    store = open_store(read_settings(os.environ | {"MENDLINE_DATA_DIR": str(folder)}))
    incidents = [id_ for (id_,) in _rows(store.database, "SELECT id FROM incident")]
    now = store.clock.now()
    with store.database.writing() as session:
        for id_ in incidents:
            approve.ask(session, f"dec_{id_}", id_, "0" * 16, now, timedelta(days=1))
    store.database.close()
