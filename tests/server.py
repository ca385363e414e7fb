"""A real `mendline serve` for tests: started, killed and started again on the same data.

Importing what a server needs costs seconds of processor time, and the fault suite starts some hundred
servers. So `python -m tests.server` imports it once and forks a process for each that is asked for:
the *nursery*. `Mendline.start(fresh=True)` starts one as a person would, with an interpreter of its own.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import httpx
import yaml

ROOT = Path(__file__).resolve().parent.parent
Body = dict[str, Any]

_ADDRESS = re.compile(r"serves on (http://\S+)")
_KEY = re.compile(r"\bmend_[a-z2-7]{32}\b")
_one_at_a_time = threading.Lock()


def until(true: Callable[[], bool], seconds: float = 30, what: str = "it") -> None:
    """Waits for a condition, at most so long."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"{what} did not come true in {seconds:g} s"
        time.sleep(0.05)  # a look costs the server something too


def _surroundings() -> dict[str, str]:
    """Our environment without settings: a server of the tests has only those that a test gives it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MENDLINE_")}


class Running(Protocol):
    """A process that was started: `poll` gives its exit code, negative for a signal, None while it runs."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...


class Nursery:
    """The process that forks; one for the whole test run, ended with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.server"],
            cwd=ROOT,
            env=_surroundings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        atexit.register(self.close)

    def start(
        self, args: list[str], settings: dict[str, str], out: Path, err: Path, module: str = "app.cli"
    ) -> "Child":
        """Starts `main` of a module, `mendline ARGS` if not told otherwise; what it prints goes to the two files."""
        order = {"module": module, "args": args, "settings": settings, "out": str(out), "err": str(err)}
        return Child(self, int(self._ask(order)))

    def poll(self, pid: int) -> int | None:
        """The exit code of a process started here, None while it runs. It is told once."""
        said: int | None = self._ask({"poll": pid})
        return said

    def _ask(self, order: Body) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Ends it, and it ends what it started."""
        self._process.communicate()


class Child:
    """A process of the nursery."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self._code: int | None = None
        self.pid = pid

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._nursery.poll(self.pid)
        return self._code


@cache
def nursery() -> Nursery:
    """The one of this test run."""
    return Nursery()


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


class Api:
    """The HTTP API with one key. `get` and `post` want a 2xx; `send` gives the answer as it is."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(
            base_url=f"{url}/api/v1",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=20,
            trust_env=False,
        )

    def close(self) -> None:
        self.http.close()

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        if body is not None:
            more["json"] = body
        return self.http.request(method, path, **more)

    def get(self, path: str, **query: Any) -> Body:
        answer = self.http.get(path, params=query)
        assert answer.is_success, answer.text
        found: Body = answer.json()
        return found

    def post(self, path: str, body: Any) -> Body:
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        found: Body = answer.json()
        return found

    def report(self, message: str, target: Body | None = None, **fields: Any) -> str:
        """Sends one event and returns its incident's id."""
        body = {"message": message, "source": "test", **({"target": target} if target else {}), **fields}
        incident_id: str = self.post("/events", body)["incident_id"]
        return incident_id

    def trail(self, incident_id: str) -> Body:
        return self.get(f"/incidents/{incident_id}")

    def wait(self, incident_id: str, true: Callable[[Body], Any], seconds: float = 30) -> Body:
        """The trail, once `true` of it."""
        found: list[Body] = []

        def look() -> bool:
            found[:] = [self.trail(incident_id)]
            return bool(true(found[0]))

        try:
            until(look, seconds)
        except AssertionError:
            raise AssertionError(f"not in {seconds:g} s: {json.dumps(found, indent=1)[-6000:]}") from None
        return found[0]

    def ended(self, incident_id: str, repairs: int = 1, seconds: float = 30) -> Body:
        """The trail, once so many repairs have ended (an escalation counts as one)."""
        return self.wait(incident_id, lambda t: len(outcomes(t)) >= repairs, seconds)

    def asked(self, incident_id: str) -> Body:
        """The approval that the incident waits for."""
        trail = self.wait(incident_id, lambda t: any(a["answer"] is None for a in t["approvals"]))
        approval: Body = next(a for a in trail["approvals"] if a["answer"] is None)
        return approval

    def approve(self, incident_id: str) -> None:
        """A person says yes to the plan that waits. A server that is killed by what follows may not answer."""
        approval_id = self.asked(incident_id)["id"]
        with contextlib.suppress(httpx.HTTPError):
            self.post(f"/approvals/{approval_id}/approve", {})


def outcomes(trail: Body) -> list[Body]:
    """The outcomes of a trail in time order."""
    return [repair["outcome"] for repair in trail["repairs"] if repair["outcome"]]


class Mendline:
    """One installation: a data folder, its settings, its register of targets, and a server now and then."""

    def __init__(self, folder: Path, knowledge: Path, **settings: Any) -> None:
        """`settings` are written as `decision__act_at=0.5`. Starts nothing."""
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.knowledge = knowledge
        self._folder = folder
        self.settings: dict[str, Any] = {
            "data_dir": self.data,
            "knowledge__folder": knowledge,
            "knowledge__embedder": "hashing",
            "pipeline__sweep_seconds": 0.2,
            # One server does the repairs of many tests, so no limit may be used up by another one.
            "decision__cooldown_most": 100,
            "decision__repeat_most": 1000,
            "decision__chain_most": 1000,
            "decision__cap_per_strategy": 10_000,
            "decision__cap_per_target": 10_000,
            "decision__cap_per_site": 10_000,
            "decision__blast_share": 1,
            "decision__breaker_failed": 50,
            "decision__breaker_of": 50,
            **settings,
        }
        self._targets: list[Body] = []
        self._process: Running | None = None
        self._commands = 0
        self._api: Api | None = None
        self.url = ""
        self.key = ""

    @property
    def api(self) -> Api:
        """The API of the server that runs, with the admin key."""
        assert self._api is not None, "no server was started"
        return self._api

    @property
    def database(self) -> Path:
        return self.data / "mendline.db"

    @property
    def log(self) -> str:
        """What the servers logged so far."""
        return (self._folder / "log").read_text()

    @property
    def running(self) -> Running:
        assert self._process is not None, "no server was started"
        return self._process

    def backups(self, trail: Body) -> Path:
        """Where the last repair of a trail keeps what undoing needs."""
        remediation_id: str = trail["repairs"][-1]["remediation"]["id"]
        return self.data / "backups" / remediation_id

    def _environment(self, settings: dict[str, Any]) -> dict[str, str]:
        return {f"MENDLINE_{name.upper()}": str(value) for name, value in settings.items()}

    def start(self, *, fresh: bool = False, **settings: Any) -> Api:
        """Starts a server on a free port and waits until it is ready; `settings` hold for this one only."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        out, log = self._folder / "out", self._folder / "log"
        out.unlink(missing_ok=True)
        args = ["serve", "--port", "0", "--first-key"]
        environment = self._environment({**self.settings, **settings})
        if fresh:
            with out.open("wb") as stdout, log.open("ab") as stderr:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", "from app.cli import main; main()", *args],
                    cwd=ROOT,
                    env={**_surroundings(), **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )
        else:
            self._process = nursery().start(args, environment, out, log)
        self._await_address(out)
        self._await_ready()
        self._forget()
        self._api = Api(self.url, self.key)
        return self._api

    def _forget(self) -> None:
        if self._api is not None:
            self._api.close()

    def _await_address(self, out: Path) -> None:
        def told() -> bool:
            ended = self.running.poll()
            said = out.read_text() if out.exists() else ""
            address, key = _ADDRESS.search(said), _KEY.search(said)
            assert address or ended is None, f"it ended with {ended}: {self.log[-3000:]}"
            self.url = address[1] if address else ""
            self.key = key[0] if key else self.key
            return bool(address)

        until(told, 60, "its address")

    def _await_ready(self) -> None:
        """Waits until it can diagnose; a server that was killed meanwhile counts as come through."""

        def answers() -> bool:
            try:
                return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
            except httpx.HTTPError:
                return self.running.poll() is not None

        until(answers, 60, "readiness")

    def start_engine(self, *args: str, **settings: Any) -> None:
        """Starts `tests.engine ARGS` on the same data: no door, no models, ready at once."""
        environment = self._environment({**self.settings, **settings})
        out, log = self._folder / "out", self._folder / "log"
        self._process = nursery().start(list(args), environment, out, log, "tests.engine")

    def kill(self) -> None:
        """Kills it without a warning, as a power cut would."""
        os.kill(self.running.pid, signal.SIGKILL)
        assert self.await_end() == -signal.SIGKILL

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Asks it to stop; its exit code."""
        os.kill(self.running.pid, number)
        return self.await_end(seconds)

    def await_end(self, seconds: float = 40) -> int:
        """Waits until the server is gone; its exit code."""
        until(lambda: self.running.poll() is not None, seconds, "its end")
        code = self.running.poll()
        assert code is not None
        return code

    def end(self) -> None:
        """Leaves nothing running, whatever happened."""
        self._forget()
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self.await_end()

    def cli(self, *args: str) -> Done:
        """Runs `mendline ARGS` with the same settings."""
        self._commands += 1
        out, err = (self._folder / f"{name}-{self._commands}" for name in ("out", "err"))
        process = nursery().start(list(args), self._environment(self.settings), out, err)
        until(lambda: process.poll() is not None, 60, " ".join(args))
        return Done(process.poll() or 0, out.read_text(), err.read_text())

    def new_key(self, name: str, role: str) -> str:
        """A key of that role."""
        done = self.cli("key", "create", name, "--role", role)
        assert done.code == 0, done.err
        return done.out.strip()

    def register(self, name: str, connection: Body, strategy: str, **fields: Any) -> Body:
        """Adds a target on which one strategy is allowed; the target as an event names it."""
        target = {"system": "shop", "kind": connection["type"], "name": name}
        environment = fields.pop("environment", "")
        entry = {
            **target,
            "environment": environment,
            "owner": "tests",
            "connection": connection,
            "allow": [strategy],
            **fields,
        }
        self._targets = [known for known in self._targets if known["name"] != name] + [entry]
        # Moved into place: a server that looks meanwhile must not read half a file.
        aside = self.data / "targets.tmp"
        aside.write_text(yaml.safe_dump({"targets": self._targets}))
        aside.replace(self.data / "targets.yaml")
        return {**target, "environment": environment}


@cache
def _prepared() -> Mendline:
    """One that was started before: its database is migrated, its models are fitted, it has a key."""
    folder = Path(tempfile.mkdtemp(prefix="mendline-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # The taxonomy is the one that ships; the rest is small, so that it is learned in a moment.
    knowledge = folder / "knowledge"
    shutil.copytree(ROOT / "tests" / "data" / "knowledge", knowledge)
    shutil.copy(ROOT / "knowledge" / "taxonomy.yaml", knowledge)
    site = Mendline(folder, knowledge)
    try:
        site.start()
        site.stop()
    finally:
        site.end()
    return site


def install(folder: Path, **settings: Any) -> Mendline:
    """A new installation in `folder`, not running yet, that need not prepare anything."""
    with _one_at_a_time:
        first = _prepared()
    shutil.copytree(first.data, folder / "data")
    site = Mendline(folder, first.knowledge, **settings)
    site.key = first.key
    return site


# What `mendline serve` imports sooner or later.
_HEAVY = (
    "alembic.command",
    "app.cli",
    "app.commands.diagnosis",
    "app.commands.incidents",
    "app.commands.operate",
    "app.commands.serve",
    "app.diagnosis.told",
    "app.main",
    "detect_secrets.plugins",
    "faiss",
    "markdown_it",
    "pandas",
    "pyarrow.csv",
    "pyarrow.parquet",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "anyio._backends._asyncio",
)


def _nurse() -> str:
    """Forks a process per order on standard input. Returns there, with the module; ends this one with its input."""
    for module in _HEAVY:
        importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C ends the tests, and with them this
    gc.freeze()  # what was imported is shared with the children as long as nobody counts it again
    alive: set[int] = set()
    while order := json.loads(sys.stdin.readline() or "{}"):
        if "poll" in order:
            pid, status = os.waitpid(order["poll"], os.WNOHANG) if order["poll"] in alive else (0, 0)
            alive.discard(pid)
            print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
            continue
        pid = os.fork()
        if not pid:
            return _become(order)
        alive.add(pid)
        print(pid, flush=True)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    sys.exit(0)


def _become(order: Body) -> str:
    """Makes this forked process one that was started with these arguments, settings and files."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    files = (os.devnull, os.O_RDONLY), (order["out"], os.O_WRONLY), (order["err"], os.O_WRONLY)
    for number, (path, how) in enumerate(files):
        handle = os.open(path, how | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.update(order["settings"])
    sys.argv = ["mendline", *order["args"]]
    module: str = order["module"]
    return module


def _main() -> None:
    module = _nurse()
    code = 0
    try:
        importlib.import_module(module).main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking down an interpreter this full costs a second. That it ends by itself is seen with `fresh`.
    os._exit(code)


if __name__ == "__main__":
    _main()
