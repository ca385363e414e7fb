"""Scenes: for each strategy something real that is broken, and what must be true of it afterwards.

A scene gives what is registered and what the event says; `mended` and `as_before` look at the far side
itself and never at what Mendline says of it. A new strategy needs a scene here: the fault suite asks for it.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from app.decision.plan import Risk
from app.remediation.strategies import STRATEGIES
from tests.doubles import HealthPage, JobServer, Served, Service, until
from tests.far_git import Hub, Origin
from tests.registry import LiveModel
from tests.server import Body, Mendline
from tests.vault import Vault


class Scene:
    """One broken thing. `disprove` makes it broken again after it was acted on, so that verifying says no.

    `ends` is how its repair ends when all goes well.
    """

    strategy: ClassVar[str]
    ends: ClassVar[str] = "verified"
    message: ClassVar[str]
    type: ClassVar[str]
    defaults: ClassVar[Body] = {}

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.connection: Body = {}

    def register(self, site: Mendline, name: str, **fields: Any) -> Body:
        """Registers it under `name`; the target as an event names it."""
        return site.register(
            name, self.connection, self.strategy, defaults={self.strategy: self.defaults}, **fields
        )

    @property
    def asks(self) -> bool:
        """Whether a person must agree, because the risk is high."""
        return any(kind.risk is Risk.HIGH for kind in STRATEGIES if kind.id == self.strategy)

    def ended(self, site: Mendline, incident_id: str) -> Body:
        """The trail, once its repair ended well."""
        if self.ends != "verified":
            return site.api.ended(incident_id)
        return site.api.wait(incident_id, lambda t: t["incident"]["state"] == "resolved")

    def disprove(self, site: Mendline, name: str) -> None:
        raise NotImplementedError

    def mended(self, kept: Path) -> None:
        """Asserts that it works, that nothing was lost (`kept` holds the backups) or done twice."""
        raise NotImplementedError

    def as_before(self) -> None:
        """Asserts that it is as broken as it was, and that nothing was done twice."""
        raise NotImplementedError

    def close(self) -> None:
        """Leaves nothing running."""


class Job(Scene):
    """A job whose next run fails and the one after that succeeds; it can be looked up by key."""

    strategy = "retry_with_exponential_backoff"
    type = "network_timeout"
    message = "connection to warehouse timed out after 30 s while loading orders"
    defaults = {"tries": 3, "first_delay": 0, "multiplier": 1}

    def __init__(self, folder: Path, fail: int = 1) -> None:
        super().__init__(folder)
        self.server = JobServer()
        self.server.fail = self._fail = fail
        self._running = self.server.running()
        self._running.__enter__()
        self.connection = self.server.job()

    def disprove(self, site: Mendline, name: str) -> None:
        self.server.fail = 100
        for run in self.server.runs.values():
            run["status"] = "failed"

    def mended(self, kept: Path) -> None:
        assert self.server.acted == self._fail + 1
        self._asked_once()

    def as_before(self) -> None:
        assert self.server.acted <= self.defaults["tries"]
        self._asked_once()

    def _asked_once(self) -> None:
        assert set(self.server.asked) == set(self.server.runs)
        assert set(self.server.asked.values()) <= {1}, self.server.asked

    def close(self) -> None:
        self._running.__exit__(None, None, None)


class DeadService(Scene):
    """A process with a health address that was killed."""

    strategy = "recover_service"
    type = "service_unavailable"
    message = "health check failed: checkout service answers 503 unhealthy"
    defaults = {"tries": 1, "settle": 1}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.service = Service(folder)
        self.connection = self.service.connection
        self.service.start()
        self.service.end()

    def _alive(self) -> list[int]:
        starts = (self.folder / "starts").read_text().splitlines()
        return [pid for pid in (int(line.split()[0]) for line in starts) if _lives(pid)]

    def disprove(self, site: Mendline, name: str) -> None:
        self.service.end()

    def mended(self, kept: Path) -> None:
        from app.systems import process

        assert process.health(self.service.target).ok
        assert len(self._alive()) == 1
        assert self.service.started == 2

    def as_before(self) -> None:
        assert self._alive() == []
        assert self.service.started <= 2

    def close(self) -> None:
        self.service.end()


def _lives(pid: int) -> bool:
    from app.systems.process import identify

    return identify(pid) is not None


class DirtyFile(Scene):
    """A CSV with a gap, a row that stands twice, and numbers that are written as text."""

    strategy = "run_data_validation_and_cleanup"
    type = "data_corruption"
    message = "corrupt rows in measurements file: values could not be parsed as numbers"

    DIRTY = (
        "sensor,degrees,note\n"
        'a,20.5,"first, and quoted"\n'
        "b,21.0,\n"
        "b,21.0,\n"
        "c,,gap\n"
        "d, 22.5 ,spaces\n"
        "e,error,broken\n"
        "f,20.0,\n"
    )
    CLEAN = (
        "sensor,degrees,note\n"
        'a,20.5,"first, and quoted"\n'
        "b,21.0,\n"
        "c,20.75,gap\n"
        "d,22.5,spaces\n"
        "e,20.75,broken\n"
        "f,20.0,\n"
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "measurements.csv"
        self.path.write_text(self.DIRTY)
        self.path.chmod(0o640)
        self.connection = {
            "type": "file",
            "path": str(self.path),
            "columns": {"sensor": {"type": "text"}, "degrees": {"type": "number", "maximum": 100}},
        }

    def disprove(self, site: Mendline, name: str) -> None:
        """Its owner declares another range meanwhile: what was agreed to is no longer what is wanted."""
        self.connection["columns"]["degrees"]["maximum"] = 50
        self.register(site, name)

    def mended(self, kept: Path) -> None:
        assert self.path.read_text() == self.CLEAN
        assert (kept / f"{self.path.name}.before").read_text() == self.DIRTY
        self._alone()

    def as_before(self) -> None:
        assert self.path.read_text() == self.DIRTY
        self._alone()

    def _alone(self) -> None:
        assert [path.name for path in self.folder.iterdir()] == [self.path.name]
        assert self.path.stat().st_mode & 0o777 == 0o640


class RepeatedRows(Scene):
    """A table in SQLite into which one load ran twice."""

    strategy = "run_deduplication_script"
    type = "data_duplication"
    message = "duplicate rows appear more than once in table orders after reload"

    ROWS = tuple((1000 + n % 9, f"customer {n % 9}", 1.5 * (n % 9)) for n in range(13))

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "shop.db"
        self._late: list[tuple[int, str, float]] = []
        with closing(sqlite3.connect(self.path)) as shop, shop:
            shop.execute(
                "CREATE TABLE orders (id INTEGER PRIMARY KEY, number INT, customer TEXT, total REAL)"
            )
            self._insert(shop, self.ROWS)
        self.connection = {
            "type": "table",
            "url": f"sqlite:///{self.path}",
            "table": "orders",
            "key": ["number"],
        }
        self._original = self._rows()

    def _insert(self, shop: sqlite3.Connection, rows: Any) -> None:
        shop.executemany("INSERT INTO orders (number, customer, total) VALUES (?, ?, ?)", rows)

    def _rows(self) -> Counter[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as shop:
            return Counter(shop.execute("SELECT id, number, customer, total FROM orders").fetchall())

    def disprove(self, site: Mendline, name: str) -> None:
        """The load runs once more."""
        with closing(sqlite3.connect(self.path)) as shop, shop:
            before = self._rows()
            shop.execute("INSERT INTO orders VALUES (500, 1001, 'customer 1', 1.5)")
        self._original += self._rows() - before

    def mended(self, kept: Path) -> None:
        left = self._rows()
        numbers = [row[1] for row in left.elements()]
        assert len(numbers) == len(set(numbers))
        lines = (kept / "removed-rows.jsonl").read_text().splitlines()[1:]
        removed = Counter(tuple(map(_thaw, json.loads(line)[1])) for line in lines)
        assert left + removed == self._original

    def as_before(self) -> None:
        assert self._rows() == self._original


def _thaw(cell: Any) -> Any:
    return float.fromhex(cell["real"]) if isinstance(cell, dict) else cell


class LackingColumn(Scene):
    """A table in SQLite that lacks a column which the job that fills it writes."""

    strategy = "update_schema_and_retry"
    type = "schema_mismatch"
    message = "column discount does not exist in relation orders"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "shop.db"
        self._run("CREATE TABLE orders (id INTEGER PRIMARY KEY, number INT NOT NULL)")
        for number in range(9):
            self._run(f"INSERT INTO orders (number) VALUES ({number})")
        self.server = JobServer()
        self._running = self.server.running()
        self._running.__enter__()
        self.connection = {
            "type": "table",
            "url": f"sqlite:///{self.path}",
            "table": "orders",
            "key": ["number"],
            "columns": {
                "id": {"type": "integer"},
                "discount": {"type": "decimal", "nullable": False, "default": 0},
                "tier": {"type": "text"},
            },
            "rerun": self.server.job(),
        }
        self._original = self._run("SELECT sql FROM sqlite_master"), self._run("SELECT * FROM orders")

    def _run(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as shop, shop:
            return shop.execute(statement).fetchall()

    def disprove(self, site: Mendline, name: str) -> None:
        """The job fails for another reason."""
        self.server.fail = 100
        for run in self.server.runs.values():
            run["status"] = "failed"

    def mended(self, kept: Path) -> None:
        rows = self._run("SELECT id, number, discount, tier FROM orders ORDER BY id")
        assert rows == [(*row, 0, None) for row in self._original[1]]
        assert [column["name"] for column in json.loads((kept / "schema.json").read_text())["columns"]] == [
            "id",
            "number",
        ]
        assert list(self.server.asked.values()) == [1]

    def as_before(self) -> None:
        assert (
            self._run("SELECT sql FROM sqlite_master"),
            self._run("SELECT * FROM orders"),
        ) == self._original
        assert list(self.server.asked.values()) in ([], [1])

    def close(self) -> None:
        self._running.__exit__(None, None, None)


class BadModel(Scene):
    """A model in an MLflow registry whose newest version does badly."""

    strategy = "rollback_model"
    type = "model_degradation"
    message = "model performance degraded: accuracy of churn fell below its baseline"
    defaults = {"within": 10, "settle": 1}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.live = LiveModel()
        self._running = self.live.running()
        self._running.__enter__()
        self.connection = self.live.connection()

    def disprove(self, site: Mendline, name: str) -> None:
        self.live.gloomy = True

    def mended(self, kept: Path) -> None:
        assert self.live.current == 2
        assert [told["undone"] for told in self.live.history(3).values()] == [False]

    def as_before(self) -> None:
        assert self.live.current == 3
        assert [told["undone"] for told in self.live.history(3).values()] == [True]

    def close(self) -> None:
        self._running.__exit__(None, None, None)


class WithVault(Scene):
    """A job that needs what a vault holds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.vault = Vault(folder / "vault")
        self.server = JobServer()
        self._running = self.server.running()
        self._running.__enter__()

    def disprove(self, site: Mendline, name: str) -> None:
        """What was wrong was not that: the job fails all the same."""
        self.server.fail = 100

    def _run_at_most_once(self) -> None:
        assert self.server.acted <= 1
        assert set(self.server.asked.values()) <= {1}, self.server.asked

    def close(self) -> None:
        self._running.__exit__(None, None, None)


class ExpiredCredential(WithVault):
    """A credential whose version in force does not work any more."""

    strategy = "refresh_credentials_and_retry"
    type = "authentication_failure"
    message = "401 Unauthorized: login failed, the credential expired"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.connection = self.vault.credential(rerun=self.server.job())

    def mended(self, kept: Path) -> None:
        assert (self.vault.holds["now"], self.server.acted) == ("v2", 1)
        self._once()

    def as_before(self) -> None:
        assert self.vault.holds["now"] == "v1"
        self._once()

    def _once(self) -> None:
        assert set(self.vault.holds["versions"]) <= {"v1", "v2"}
        assert len({key for _, key in self.vault.asked("issue")}) <= 1
        self._run_at_most_once()


class MissingRight(WithVault):
    """An identity without the right that its job needs."""

    strategy = "restart_with_elevated_permissions"
    type = "permission_denied"
    message = "permission denied for table ledger, missing grant"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.connection = self.vault.grants(self.server.job())

    def mended(self, kept: Path) -> None:
        assert self.server.acted == 1
        assert self.vault.asked("grant")
        self.as_before()

    def as_before(self) -> None:
        """Nothing is granted, and what was granted was so for one and the same time."""
        assert self.vault.holds["granted"] == {}
        assert len({until for _, _, until in self.vault.asked("grant")}) <= 1
        self._run_at_most_once()


class Training(Scene):
    """A training job whose batches do not fit, with its settings in Git."""

    strategy = "reduce_batch_size"
    type = "gpu_out_of_memory"
    message = "CUDA out of memory while training: tried to allocate 2 GiB on GPU 0"
    defaults = {"batch_size": "train.batch_size", "gradient_checkpointing": "train.checkpointing"}

    BEFORE = "train:\n  batch_size: 32  # per device\n  epochs: 3\n"
    AFTER = "train:\n  batch_size: 16  # per device\n  epochs: 3\n  checkpointing: true\n"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.origin = Origin(folder, {"train.yaml": self.BEFORE})
        self.job = Job(folder / "job", fail=0)
        self.connection = {
            "type": "git_file",
            "remote": self.origin.url,
            "branch": "main",
            "path": "train.yaml",
            "keys": list(self.defaults.values()),
            "rerun": self.job.connection,
        }

    def disprove(self, site: Mendline, name: str) -> None:
        """The next runs fail too."""
        self.job.server.fail = 100

    def mended(self, kept: Path) -> None:
        assert self.origin.text("train.yaml") == self.AFTER
        assert len(self.origin.messages()) == 2
        assert len(self.origin.keys()) == 1
        self.job.mended(kept)

    def as_before(self) -> None:
        assert self.origin.text("train.yaml") == self.BEFORE
        assert [text.startswith("Take back") for text in self.origin.messages()] == [True, False, False]
        assert len(self.origin.keys()) == 1
        assert set(self.job.server.asked.values()) == {1}

    def close(self) -> None:
        self.job.close()


class WrongSetting(Scene):
    """A job whose settings on this machine name no region."""

    strategy = "update_configuration_and_retry"
    type = "configuration_error"
    message = "invalid configuration: setting region is missing in the configuration file"
    defaults = {"settings": {"warehouse.region": "eu-west-1"}}

    BEFORE = '# of the nightly load\n[warehouse]\nhost = "db"  # internal\n'
    AFTER = f'{BEFORE}region = "eu-west-1"\n'

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "load.toml"
        self.path.write_text(self.BEFORE)
        self.job = Job(folder / "job", fail=0)
        self.connection = {
            "type": "config_file",
            "path": str(self.path),
            "keys": ["warehouse.region"],
            "rerun": self.job.connection,
        }

    def disprove(self, site: Mendline, name: str) -> None:
        """The next runs fail too."""
        self.job.server.fail = 100

    def mended(self, kept: Path) -> None:
        assert self.path.read_text() == self.AFTER
        assert [copy.read_text() for copy in kept.iterdir()] == [self.BEFORE]
        self.job.mended(kept)

    def as_before(self) -> None:
        assert self.path.read_text() == self.BEFORE
        assert set(self.job.server.asked.values()) == {1}

    def close(self) -> None:
        self.job.close()


class BrokenBuild(Scene):
    """A build that fails since a name was changed, and a known fix; the checks of a proposal succeed."""

    strategy = "open_fix_pull_request"
    type = "build_failure"
    message = "BUILD FAILURE: compilation error, cannot find symbol in OrderLoader.java"
    ends = "handed_over"
    defaults = {
        "title": "Call the loader by its new name",
        "edits": [{"file": "src/Main.java", "find": "OrderLoader", "replace": "OrdersLoader"}],
    }

    BEFORE = "class Main { OrderLoader loader; }\n"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.origin = Origin(folder, {"src/Main.java": self.BEFORE})
        self.hub = Hub(self.origin)
        self.hub.ran = {"build": "success"}
        self._running = self.hub.running()
        self._running.__enter__()
        self.connection = {
            "type": "git_repository",
            "remote": self.origin.url,
            "branch": "main",
            "files": ["src/Main.java"],
            "github": self.hub.app(folder, checks=["build"]),
        }

    def disprove(self, site: Mendline, name: str) -> None:
        """The proposal does not build either."""
        self.hub.ran = {"build": "failure"}

    def mended(self, kept: Path) -> None:
        (pull,) = self.hub.open
        assert self.hub.did["open"] == 1
        assert self.origin.text("src/Main.java", pull["head"]["sha"]) == self.BEFORE.replace(
            "Order", "Orders"
        )
        assert self.origin.git("rev-list", f"main..{pull['head']['sha']}").split() == [pull["head"]["sha"]]
        self._untouched()

    def as_before(self) -> None:
        assert self.hub.open == []
        assert self.hub.did["open"] <= 1
        assert self.origin.branches == {"main"}
        self._untouched()

    def _untouched(self) -> None:
        assert self.origin.tip() == self.origin.first

    def close(self) -> None:
        self._running.__exit__(None, None, None)


class BadRollout(Scene):
    """A deployment from Git whose newest revision is not well."""

    strategy = "rollback_deployment"
    type = "deployment_failure"
    message = "deployment rollout failed: revision did not become ready, progress deadline exceeded"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.origin = Origin(folder, {"version": "1", "app.yaml": "replicas: 2\n"})
        self.origin.tag("good/1", self.origin.first)
        self.bad = self.origin.commit({"version": "2", "added.yaml": "x: 1\n"}, "release 2")
        self.well = True
        self.health = HealthPage(lambda: self.well and self.origin.text("version") == "1")
        self._running = self.health.running()
        self._running.__enter__()
        self.connection = {
            "type": "git_deployment",
            "remote": self.origin.url,
            "branch": "main",
            "health": self.health.url,
            "within": 2,
            "settle": 0.2,
        }

    def disprove(self, site: Mendline, name: str) -> None:
        """It was not the release."""
        self.well = False

    def mended(self, kept: Path) -> None:
        assert self.origin.git("diff", "--stat", self.origin.first, "main") == ""
        assert self.origin.git("rev-parse", "main^").strip() == self.bad
        assert len(self.origin.keys()) == 1

    def as_before(self) -> None:
        assert self.origin.git("diff", "--stat", self.bad, "main") == ""
        assert self.origin.git("rev-parse", "main^^").strip() == self.bad
        assert len(self.origin.keys()) == 1

    def close(self) -> None:
        self._running.__exit__(None, None, None)


SCENES: tuple[type[Scene], ...] = (
    Job,
    DeadService,
    DirtyFile,
    RepeatedRows,
    LackingColumn,
    BadModel,
    ExpiredCredential,
    MissingRight,
    Training,
    WrongSetting,
    BrokenBuild,
    BadRollout,
)


Make = Callable[[type[Scene]], Scene]
SECRET = "a secret of the tests"  # of the webhooks


class Receiver(Served):
    """Gets the messages to people, as a webhook's other end would."""

    def __init__(self) -> None:
        self.messages: list[Body] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.messages.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read messages, not logs."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"

    def about(self, incident_id: str, kind: str) -> Body:
        """The message of that kind about that incident, once it came."""

        def found() -> list[Body]:
            return [m for m in self.messages if m["incident_id"] == incident_id and m["kind"] == kind]

        until(lambda: bool(found()))
        return found()[0]
