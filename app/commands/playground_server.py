"""The demo's own Mendline: a data folder made anew, a server process on a free port, and its API."""

import fcntl
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.commands.playground import until
from app.foundation.errors import Broken, Conflict, Unavailable
from app.pipeline.trail import Trail
from app.settings import Settings, read_settings

_ADDRESS = re.compile(r"serves on (http://\S+)")
_KNOWN = ("knowledge_case", "knowledge_embedding")
Rows = dict[str, list[sqlite3.Row]]
# -P: a folder named `app` where the demo was started must not be taken for ours.
_SERVE = (
    "import sys; sys.path.append(sys.argv.pop()); from pathlib import Path; "
    "from app.commands.playground_systems import end_with; end_with(Path(sys.argv.pop())); "
    "from app.cli import main; main()"
)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The demo's folder for us alone; whatever the demo starts ends when this does.

    Raises Conflict when the folder holds something else, or another demo uses it.
    """
    lock = folder / "lock"
    if folder.exists() and any(folder.iterdir()) and not lock.exists():
        raise Conflict(f"{folder} is no folder of a demo, and a demo empties its folder: name another one")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock.open("w") as file:

        def taken() -> bool:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        try:
            # What a demo that was killed left behind needs a moment to end.
            until(taken, "", seconds=10)
        except Unavailable:
            raise Conflict(f"another demo runs in {folder}: end it, or name another folder") from None
        yield


@dataclass(frozen=True)
class Keys:
    """`demo` posts and reads, `approver` answers; `you` signs in to the pages."""

    demo: str
    approver: str
    you: str


def environment(folder: Path) -> dict[str, str]:
    """The environment of the demo's Mendline: of our own settings only those of the knowledge count."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MENDLINE_") or name.startswith("MENDLINE_KNOWLEDGE__")
    }
    direct = ",".join(filter(None, [kept.get("NO_PROXY"), "127.0.0.1", "localhost"]))
    return {
        **kept,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "MENDLINE_DATA_DIR": str(folder),
        "MENDLINE_DECISION__POLICY_FILE": str(folder / "policy.yaml"),
        "MENDLINE_LOG__LEVEL": "WARNING",
    }


def prepare(folder: Path, main: Settings) -> tuple[Keys, bool]:
    """Empties the folder but for models, brings what was learned elsewhere, and makes the keys.

    True when there is a fitted model, so that the start takes seconds.
    """
    from app.web.security import Role, create_key
    from app.wiring import open_store

    known = _known(main.data_dir / "mendline.db") or _known(folder / "mendline.db")
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "models":
            shutil.rmtree(entry)
        elif entry.is_file() and entry.name != "lock":
            entry.unlink()
    share(main.data_dir / "models", folder / "models")
    store = open_store(read_settings(environment(folder)))
    with store.database.writing() as session:
        now = store.clock.now()
        keys = Keys(
            demo=create_key(session, "demo", Role.OPERATOR, now),
            approver=create_key(session, "demo-approver", Role.APPROVER, now),
            you=create_key(session, "you", Role.ADMIN, now),
        )
    store.database.close()
    _bring(known, folder / "mendline.db")
    return keys, any((folder / "models").glob("diagnosis-*"))


def share(from_: Path, to: Path) -> None:
    """Links or copies models; their names say what they were made from, so a known name is the same file."""
    if not from_.is_dir() or not to.parent.is_dir():
        return
    to.mkdir(exist_ok=True)
    for model in from_.glob("*-*.*"):
        there = to / model.name
        if there.exists():
            continue
        try:
            os.link(model, there)
        except OSError:
            shutil.copyfile(model, there)


def _known(path: Path) -> Rows:
    """Shipped cases and embeddings of a former start; nothing when they cannot be read as they are now."""
    if not path.exists():
        return {}
    found: Rows = {}
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as old:
        old.row_factory = sqlite3.Row
        found[_KNOWN[0]] = old.execute(f"SELECT * FROM {_KNOWN[0]} WHERE origin = 'shipped'").fetchall()
        found[_KNOWN[1]] = old.execute(f"SELECT * FROM {_KNOWN[1]}").fetchall()
    return found


def _bring(known: Rows, path: Path) -> None:
    """Puts them in; the start makes good what is missing or has changed since."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as new, new:
        for table, rows in known.items():
            if rows:
                names, marks = ", ".join(rows[0].keys()), ", ".join("?" * len(rows[0]))
                new.executemany(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", map(tuple, rows))


class Server:
    """The server process. `close` ends it and its group."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self._folder = folder
        self.keys = keys
        self.address = ""
        self._client = httpx.Client(timeout=30, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Starts it and waits for its address."""
        log = self._folder / "server.log"
        command = [sys.executable, "-P", "-c", _SERVE, "serve", "--host", "127.0.0.1", "--port", "0"]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, str(self._folder / "lock"), str(Path(__file__).parents[2])],
                env=environment(self._folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        found: list[str] = []

        def serves() -> bool:
            self.check()
            found[:] = _ADDRESS.findall(log.read_text(errors="replace"))
            return bool(found)

        until(serves, "Mendline did not start", 120)
        self.address = found[0]

    def check(self) -> None:
        """Raises Broken when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            lines = (self._folder / "server.log").read_text(errors="replace").strip().splitlines()
            raise Broken(f"the demo's Mendline ended by itself: {' / '.join(lines[-3:])[:500]}")

    def wait_until_ready(self, told: Callable[[str], None]) -> None:
        """Waits for the models, however long they take; `told` hears what is being done."""
        while True:
            self.check()
            answer = self._client.get(f"{self.address}/readyz")
            if answer.status_code == 200:
                return
            doing = str(answer.json()["diagnosis"])
            if ": " in doing:  # a failure is told as "Type: reason"
                raise Broken(f"the demo's Mendline cannot diagnose: {doing}")
            told(doing)
            time.sleep(0.2)

    def post(self, event: dict[str, Any]) -> str:
        """Posts an event; its incident's id."""
        return str(self._ask("POST", "events", event)["incident_id"])

    def trail(self, incident_id: str) -> Trail:
        """Everything that happened to an incident so far."""
        answer = self._client.get(f"{self.address}/api/v1/incidents/{incident_id}", headers=self._as("demo"))
        return Trail.model_validate_json(answer.raise_for_status().content)

    def knows_of(self, case_id: str, message: str) -> bool:
        """Whether a diagnosis of `message`, which is not stored, would cite this case."""
        found = self._ask("POST", "diagnose", {"message": message})["findings"]
        return any(item["ref"] == case_id for finding in found for item in finding["evidence"])

    def answer(self, approval_id: str, plan_hash: str, *, yes: bool) -> None:
        """Answers a plan with the second key."""
        reply = {"plan_hash": plan_hash, "reason": "answered in the demo"}
        how = "approve" if yes else "deny"
        self._ask("POST", f"approvals/{approval_id}/{how}", reply, "approver")

    def close(self) -> None:
        """Ends it: politely, then not. Never raises."""
        self._client.close()
        if self._process is None:
            return
        for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                return

    def _ask(self, method: str, path: str, body: dict[str, Any], who: str = "demo") -> dict[str, Any]:
        self.check()
        answer = self._client.request(
            method, f"{self.address}/api/v1/{path}", json=body, headers=self._as(who)
        )
        if not answer.is_success:
            raise Broken(f"the demo's Mendline answered {answer.status_code} to {path}: {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found

    def _as(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {getattr(self.keys, who)}"}
