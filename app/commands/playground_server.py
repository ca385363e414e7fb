"""The demo's own Mendline: a server process on a free port, and its API."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from app.commands.playground import until
from app.db.engine import Database, sqlite_url
from app.foundation.clock import SystemClock
from app.foundation.errors import Broken
from app.people.person import Role
from app.pipeline.trail import Trail
from app.web.security import create_key

_ADDRESS = re.compile(r"serves on (http://\S+)")
# -P: a folder named `app` where the demo was started must not be taken for ours.
_SERVE = (
    "import sys; sys.path.append(sys.argv.pop()); from pathlib import Path; "
    "from app.commands.playground_systems import end_with; end_with(Path(sys.argv.pop())); "
    "from app.cli import main; main()"
)


@dataclass(frozen=True)
class Keys:
    """`demo` posts and reads, `approver` answers; `you` signs in to the pages."""

    demo: str
    approver: str
    you: str


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
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
        **settings,
    }


class Server:
    """The server process. `close` ends it and its group."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        """`settings` are added to those that a demo has."""
        self._folder = folder
        self._settings = settings
        self.keys = Keys("", "", "")
        self.address = ""
        self._client = httpx.Client(timeout=30, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Starts it, waits for its address and makes the keys."""
        log = self._folder / "server.log"
        command = [sys.executable, "-P", "-c", _SERVE, "serve", "--host", "127.0.0.1", "--port", "0"]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, str(self._folder / "lock"), str(Path(__file__).parents[2])],
                env=environment(self._folder, self._settings),
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
        database = Database(sqlite_url(self._folder / "mendline.db"))
        with database.writing() as session:
            now = SystemClock().now()
            self.keys = Keys(
                demo=create_key(session, "demo", Role.OPERATOR, now),
                approver=create_key(session, "demo-approver", Role.APPROVER, now),
                you=create_key(session, "you", Role.ADMIN, now),
            )
        database.close()

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
        return str(self._ask("POST", "events", event).json()["incident_id"])

    def trail(self, incident_id: str) -> Trail:
        """Everything that happened to an incident so far."""
        return Trail.model_validate_json(self._ask("GET", f"incidents/{incident_id}").content)

    def knows_of(self, case_id: str, message: str) -> bool:
        """Whether a diagnosis of `message`, which is not stored, would cite this case."""
        found = self._ask("POST", "diagnose", {"message": message}).json()["findings"]
        return any(item["ref"] == case_id for finding in found for item in finding["evidence"])

    def shadow(self, environment: str, reason: str) -> None:
        """From now on nothing is done in this environment, only recorded."""
        body = {"environment": environment, "mode": "shadow", "reason": reason}
        self._ask("PUT", "modes", body, "you")

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

    def _ask(self, method: str, path: str, body: Any = None, who: str = "demo") -> httpx.Response:
        headers = {"Authorization": f"Bearer {getattr(self.keys, who)}"}
        try:
            answer = self._client.request(method, f"{self.address}/api/v1/{path}", json=body, headers=headers)
        except httpx.HTTPError as error:
            self.check()
            raise Broken(f"the demo's Mendline does not answer: {error}") from None
        if not answer.is_success:
            raise Broken(f"the demo's Mendline answered {answer.status_code} to {path}: {answer.text[:300]}")
        return answer
