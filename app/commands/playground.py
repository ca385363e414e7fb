"""The demo's playground: real systems and data in one folder, and the register of targets that names them.

playground/  stock.csv  returns.csv  payments.db  visits.toml  moods.json   and pid, port and log of the two processes
targets.yaml policy.yaml runbooks/                beside it, for the Mendline that looks after it
"""

import csv
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

from app.commands import playground_systems
from app.foundation.errors import Unavailable
from app.systems import process
from app.systems.connections import SupervisedProcess
from app.systems.far_side import FarSideError

ENVIRONMENT = "playground"
STAGING = "staging"  # is in shadow
# How the warehouse answers the first requests for each table.
MOODS = {
    "orders-eu": ["silent", "503"],
    "orders-us": ["silent"],
    "refunds": ["silent"],
    "returns": ["503"] * 9,
}
STOCK: dict[str, dict[str, Any]] = {
    "item": {"type": "integer", "unique": True},
    "product": {"type": "text"},
    "quantity": {"type": "integer", "minimum": 0, "maximum": 500},
    "price": {"type": "number", "minimum": 0, "maximum": 1000},
}
VISITS = '# of the nightly load\n[warehouse]\nhost = "db"  # internal\n'
_RUNBOOK = Path(__file__).with_name("playground_runbook.md")
_SCRIPT = Path(playground_systems.__file__)

POLICY = {
    "rules": [
        {
            "name": "payments-are-asked-for",
            "when": {"strategy": "run_deduplication_script", "environment": ENVIRONMENT},
            "then": "ask",
            "because": "it removes rows of payments, and their owner should see the plan first",
        }
    ],
    "trust": [{"name": "playground", "because": "nothing here is worth more than to be played with"}],
}


def until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Waits for a condition; raises Unavailable when it does not come true in time."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            raise Unavailable(f"the demo gave up: {what} within {seconds:g} s")
        time.sleep(0.05)


class Playground:
    """Everything that breaks in the demo. `close` ends what `open` and the repairs began."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the demo's data folder; the playground is a folder in it."""
        self.folder = folder / ENVIRONMENT
        self.stock = self.folder / "stock.csv"
        self.returns = self.folder / "returns.csv"
        self.payments = self.folder / "payments.db"
        self.visits = self.folder / "visits.toml"
        self.client = httpx.Client(timeout=10, trust_env=False)
        self._jobs: subprocess.Popen[bytes] | None = None
        self._shop: SupervisedProcess | None = None

    def open(self) -> None:
        """Makes the data, starts both systems and waits until they answer."""
        self.folder.mkdir(mode=0o700)
        (self.folder / "moods.json").write_text(json.dumps(MOODS))
        _make_stock(self.stock)
        _make_stock(self.returns)
        _make_payments(self.payments)
        self.visits.write_text(VISITS)
        with (self.folder / "jobs.log").open("wb") as log:
            self._jobs = subprocess.Popen(
                self._command("jobs"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Its first start chooses the port, which is why its health address is not known yet.
        self._shop = SupervisedProcess.model_validate(self._shop_connection(""))
        process.start(self._shop, None)
        until((self.folder / "jobs.pid").exists, "the job server did not start")
        until(lambda: self.shop_health() == 200, "the shop did not start")
        targets, policy = self.folder.parent / "targets.yaml", self.folder.parent / "policy.yaml"
        targets.write_text(yaml.safe_dump({"targets": self._targets()}, sort_keys=False))
        policy.write_text(yaml.safe_dump(POLICY, sort_keys=False))
        runbooks = self.folder.parent / "runbooks"
        runbooks.mkdir()
        shutil.copy(_RUNBOOK, runbooks / "returns-arrived-broken.md")

    def close(self) -> None:
        """Ends both systems, and a shop that a repair started. Never raises."""
        if self._jobs is not None:
            self._jobs.terminate()
            self._jobs.wait()
        if running := self.shop():
            with suppress(FarSideError):
                process.stop(running, 2)
        self.client.close()

    @property
    def jobs_url(self) -> str:
        """Where jobs are run, and the shop's front door."""
        return f"http://127.0.0.1:{(self.folder / 'jobs.port').read_text()}"

    @property
    def shop_url(self) -> str:
        """The shop itself."""
        return f"http://127.0.0.1:{(self.folder / 'shop.port').read_text()}"

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [child.pid for child in (self._jobs, self.shop()) if child]

    def shop(self) -> process.Running | None:
        """The shop's process, None while there is none."""
        return process.current(self._shop) if self._shop else None

    def shop_health(self) -> int:
        """The status that its health address answers with; 0 when nobody answers."""
        try:
            return self.client.get(f"{self.shop_url}/health").status_code
        except httpx.HTTPError:
            return 0

    def kill_shop(self) -> int:
        """Kills the shop's process, as the kernel does when memory runs out; its former number."""
        running = self.shop()
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        until(lambda: process.identify(running.pid) != running, "the shop did not die")
        until(lambda: not self.shop_health(), "the shop did not fall silent")
        return running.pid

    def run_job(self, job: str) -> dict[str, Any]:
        """Has the job server run a job as a scheduler would, and waits for its end."""
        key = f"scheduler-{job}"
        begun = self.client.post(f"{self.jobs_url}/jobs/{job}/runs", headers={"Idempotency-Key": key})
        address = f"{self.jobs_url}/runs/{begun.raise_for_status().json()['id']}"
        run: dict[str, Any] = {}

        def ended() -> bool:
            run.update(self.client.get(address).raise_for_status().json())
            return bool(run["status"] != "running")

        until(ended, f"{job} did not end")
        return run

    def ledger(self, job: str) -> list[dict[str, Any]]:
        """Every run of a job by the job server's own count: key, how often it was asked for, status."""
        runs = self.client.get(f"{self.jobs_url}/ledger").raise_for_status().json()
        return [run for run in runs if run["job"] == job]

    def _command(self, system: str) -> list[str]:
        # -I: nothing in the environment or the current folder may get in between.
        return [sys.executable, "-I", str(_SCRIPT), system, str(self.folder)]

    def _shop_connection(self, address: str) -> dict[str, Any]:
        return {
            "type": "process",
            "health": f"{address}/health",
            "start": self._command("shop"),
            "pid_file": str(self.folder / "shop.pid"),
            "log_file": str(self.folder / "shop.log"),
            "stop_timeout": 2,
        }

    def _targets(self) -> list[dict[str, Any]]:
        def target(kind: str, name: str, owner: str, allow: str, connection: Any, **params: Any) -> Any:
            return {
                "system": "shop",
                "kind": kind,
                "name": name,
                "environment": ENVIRONMENT,
                "owner": owner,
                "group": name,  # nothing here stands in for another, so all may be repaired at once
                "connection": connection,
                "allow": [allow] if allow else [],
                "defaults": {allow: params} if params else {},
            }

        def runs(name: str) -> dict[str, str]:
            at = self.jobs_url
            return {
                "type": "http_job",
                "run": f"{at}/jobs/{name}/runs",
                "status": f"{at}/runs/{{run}}",
                "lookup": f"{at}/lookup",
            }

        def job(name: str) -> Any:
            retry, waits = "retry_with_exponential_backoff", {"first_delay": 0.5, "multiplier": 2.0}
            return target("job", name, "data", retry, runs(name), tries=4, **waits)

        table = {
            "type": "table",
            "url": f"sqlite:///{self.payments}",
            "table": "payments",
            "key": ["payment_id"],
            "order_by": "loaded_at",
        }
        visits = {
            "type": "config_file",
            "path": str(self.visits),
            "keys": ["warehouse.region"],
            "rerun": runs("load-visits"),
        }
        # What its owner believes to be right, and is not.
        region = {"warehouse.region": "eu-9"}
        stock = {"type": "file", "path": str(self.stock), "columns": STOCK}
        returns = {"type": "file", "path": str(self.returns), "columns": STOCK}
        partners = {name: f"shop/job/{name}-returns@{ENVIRONMENT}" for name in ("load", "publish")}
        shop = self._shop_connection(self.shop_url)
        return [
            job("load-orders-eu"),
            job("load-orders-us"),
            job("load-refunds") | {"environment": STAGING},
            target("job", "load-visits", "data", "update_configuration_and_retry", visits, settings=region),
            target("service", "shop-api", "shop", "recover_service", shop),
            target("file", "stock.csv", "data", "run_data_validation_and_cleanup", stock),
            target("file", "returns.csv", "data", "run_data_validation_and_cleanup", returns)
            | {"partners": partners},
            job("load-returns"),
            job("publish-returns"),
            target(
                "table", "payments", "finance", "run_deduplication_script", table, keep="last", most_share=0.1
            ),
        ]


def _make_stock(path: Path) -> None:
    """240 rows; then 14 holes, 6 outliers, 9 numbers written as text and 12 repeated rows."""
    dice = random.Random(7)
    rows: list[list[str]] = [
        [
            str(1000 + n),
            dice.choice(["lamp", "chair", "desk", "shelf"]),
            str(dice.randint(20, 80)),
            f"{dice.uniform(15, 60):.2f}",
        ]
        for n in range(240)
    ]
    places = dice.sample(range(20, 240), 41)
    for n in places[:8]:
        rows[n][3] = ""
    for n in places[8:14]:
        rows[n][2] = "n/a"
    for n in places[14:20]:
        rows[n][2] = "99999"
    for n in places[20:29]:
        rows[n][2] += ".0 "
    rows += [list(rows[n]) for n in places[29:]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([list(STOCK), *rows])


def _make_payments(path: Path) -> None:
    """400 payments; the last file of 12 was loaded twice."""
    rows = [(f"pay-{n:04}", f"customer-{n % 37}", 1000 + 7 * n, "2026-11-20T01:00:00Z") for n in range(400)]
    again = [(*row[:3], "2026-11-20T01:05:00Z") for row in rows[-12:]]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE payments (payment_id TEXT, customer TEXT, cents INTEGER, loaded_at TEXT)"
        )
        database.executemany("INSERT INTO payments VALUES (?, ?, ?, ?)", [*rows, *again])
