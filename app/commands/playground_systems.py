"""The playground's systems, each a process of its own: `python -I playground_systems.py jobs|shop FOLDER`.

jobs  runs jobs: POST /jobs/NAME/runs (one run per Idempotency-Key), GET /runs/ID, GET /lookup?key=KEY,
      GET /ledger. A job reads from /warehouse/NAME, whose first answers are as bad as `moods.json` says.
      One that has settings, NAME.toml, names its region there; the warehouse is in eu-1 only.
      It is the shop's front door too: /shop/… is passed on, and answered 503 while the shop is not there.
shop  a small service: /health and /stock. Its port stays the same over restarts.

Each writes `NAME.pid` and `NAME.port`, and ends when the demo does. Only the standard library, so
that they are there in a moment.
"""

import fcntl
import json
import os
import signal
import sys
import threading
import time
import tomllib
import traceback
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit

PATIENCE = 0.8  # seconds that a job waits for the warehouse
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def end_with(lock: Path) -> None:
    """Ends this process (SIGTERM) as soon as the demo, which holds `lock`, is gone, however it went."""

    def wait() -> None:
        # Kept open and shared until this process ends: the next demo can wait for that.
        handle = os.open(lock, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_SH)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end-with-demo", daemon=True).start()


class ConfigurationError(Exception):
    """The settings of a job are not whole."""


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def answer(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hung up are part of the play."""


class Shop(_Door):
    def do_GET(self) -> None:
        known = {"/health": {"status": "ok"}, "/stock": {"items": 42}}
        said = known.get(self.path)
        self.answer(404 if said is None else 200, said or {"error": "not found"})


class Jobs(_Server):
    """Runs by key, and how often each key was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), JobsDoor)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.folder = folder
        self.shop_port = folder / "shop.port"
        self._lock = threading.Lock()
        self.moods: dict[str, list[str]] = json.loads((folder / "moods.json").read_text())
        self.asked: Counter[str] = Counter()
        self.runs: dict[str, dict[str, Any]] = {}

    def begin(self, job: str, key: str) -> dict[str, Any]:
        """The run of this key; begins it when the key is new."""
        with self._lock:
            self.asked[key] += 1
            if key not in self.runs:
                run = {"id": str(len(self.runs) + 1), "job": job, "status": "running", "error": ""}
                self.runs[key] = run
                threading.Thread(target=self._work, args=(run,), daemon=True).start()
            return dict(self.runs[key])

    def ledger(self) -> list[dict[str, Any]]:
        """Every key with how often it was asked for and its one run."""
        with self._lock:
            return [{**run, "key": key, "asked": self.asked[key]} for key, run in self.runs.items()]

    def mood(self, table: str) -> str:
        """What the warehouse's next answer is like: silent, 503, or empty for a good one."""
        with self._lock:
            left = self.moods.get(table, [])
            return left.pop(0) if left else ""

    def _work(self, run: dict[str, Any]) -> None:
        table = run["job"].removeprefix("load-")
        address = f"{self.url}/warehouse/{table}"
        try:
            address += self._region(self.folder / f"{table}.toml")
            with _direct.open(address, timeout=PATIENCE) as answer:
                json.load(answer)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if isinstance(error, TimeoutError):
                told += f" after {PATIENCE:g} s"
            if not isinstance(error, ConfigurationError):
                told += f", GET {address}"
            run.update(error=told, log=traceback.format_exc(), status="failed")
        else:
            run["status"] = "succeeded"

    def _region(self, settings: Path) -> str:
        if not settings.exists():
            return ""
        region = tomllib.loads(settings.read_text())["warehouse"].get("region")
        if not region:
            said = "invalid configuration: setting warehouse.region is missing in the configuration file"
            raise ConfigurationError(f"{said} {settings.name}")
        return f"?region={region}"


class JobsDoor(_Door):
    server: Jobs

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts, key = self.path.strip("/").split("/"), self.headers["Idempotency-Key"]
        if len(parts) != 3 or parts[0] != "jobs" or parts[2] != "runs" or not key:
            return self.answer(400, {"error": "POST /jobs/NAME/runs with an Idempotency-Key"})
        return self.answer(201, self.server.begin(parts[1], key))

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        room, _, rest = url.path.strip("/").partition("/")
        ledger = self.server.ledger()
        if room == "ledger":
            return self.answer(200, ledger)
        if room == "warehouse":
            return self._warehouse(rest, parse_qs(url.query).get("region", ["eu-1"])[0])
        if room == "shop":
            return self._shop(rest)
        key = parse_qs(url.query).get("key", [""])[0]
        found = [run for run in ledger if rest == run["id"] or (room == "lookup" and key == run["key"])]
        return self.answer(200, found[0]) if found else self.answer(404, {"error": "no such run"})

    def _warehouse(self, table: str, region: str) -> None:
        if region != "eu-1":
            return self.answer(404, {"error": f"the warehouse is not in {region}"})
        mood = self.server.mood(table)
        if mood == "silent":
            time.sleep(3 * PATIENCE)
        if mood == "503":
            return self.answer(503, {"error": "the warehouse is starting"})
        return self.answer(200, {"rows": [1, 2, 3]})

    def _shop(self, rest: str) -> None:
        where = f"127.0.0.1:{self.server.shop_port.read_text()}"
        try:
            with _direct.open(f"http://{where}/{rest}", timeout=2) as answer:
                return self.answer(200, json.load(answer))
        except HTTPError as error:
            return self.answer(error.code, {"error": error.reason})
        except (URLError, OSError) as error:
            reason = str(getattr(error, "reason", error))
            return self.answer(503, {"error": "no healthy upstream", "upstream": where, "because": reason})


def main() -> None:
    """Runs one system until it is ended."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    end_with(folder.parent / "lock")
    port = folder / f"{name}.port"
    if name == "jobs":
        server: _Server = Jobs(folder)
    else:
        server = _Server(("127.0.0.1", int(port.read_text()) if port.exists() else 0), Shop)
    # Moved into its place: whoever sees the file reads it whole.
    aside = folder / f"{name}.port.new"
    aside.write_text(str(server.server_port))
    aside.replace(port)
    (folder / f"{name}.pid").write_text(str(os.getpid()))
    server.serve_forever()


if __name__ == "__main__":
    main()
