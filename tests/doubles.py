"""Real far sides for tests: an HTTP job server, a service that can fall ill, and a register of targets.

`python tests/doubles.py FOLDER` is the service: it writes `pid` and a line of `starts`, and listens on
the port in `port`. POST /break?CURE makes it ill until the cure: cache, reload or restart. With a file
`ill` it is ill from its start; with a file `stubborn` it does not listen to SIGTERM.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for a condition, at most so long."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.02)


def register(folder: Path, connection: dict[str, Any], name: str = "nightly-load", **fields: Any) -> Any:
    """A `Targets` over a real file that holds one target."""
    from app.systems.targets import Targets

    entry = {
        "system": "shop",
        "kind": "job",
        "name": name,
        "owner": "data",
        "connection": connection,
        **fields,
    }
    path = folder / "targets.yaml"
    path.write_text(yaml.safe_dump({"targets": [entry]}, sort_keys=False))
    return Targets(path)


def only(targets: Any) -> Any:
    """The one target in the register."""
    (target,) = targets.all().values()
    return target


class Service:
    """The service below, in a folder of its own, not yet started."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        from app.systems.connections import SupervisedProcess

        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / "port").write_text(str(self.port))
        self.url = f"http://127.0.0.1:{self.port}"
        self.connection = {
            "type": "process",
            "health": f"{self.url}/health",
            "start": [sys.executable, __file__, str(folder)],
            "pid_file": str(folder / "pid"),
            "reload": "SIGHUP",
            **fields,
        }
        self.target = SupervisedProcess.model_validate(self.connection)

    @property
    def started(self) -> int:
        """How often it began, by its own count."""
        starts = self.folder / "starts"
        return len(starts.read_text().splitlines()) if starts.exists() else 0

    def start(self) -> Any:
        """Starts it and waits until it answers."""
        from app.systems import process

        running = process.start(self.target, None)
        until(lambda: process.health(self.target).ok or (self.folder / "ill").exists())
        return running

    def fall_ill(self, cure: str) -> None:
        """From now on it answers 503, until `cure`: cache, reload or restart."""
        from app.systems.http import ask

        ask("POST", f"{self.url}/break?{cure}", timeout=5)

    def end(self) -> None:
        """Ends it, whatever it is doing."""
        from app.systems import process

        running = process.current(self.target)
        if running is not None:
            process.stop(running, 0)


class Quiet(BaseHTTPRequestHandler):
    """Answers in JSON, and keeps no log."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read answers, not logs."""

    def answer(self, status: int, said: Any = None, headers: dict[str, str] | None = None) -> None:
        body = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        for name, value in {
            **(headers or {}),
            "Content-Length": str(len(body)),
            "Connection": "close",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))


class Served:
    """Something that answers on a port of this machine while it is `running`."""

    _server: ThreadingHTTPServer

    @contextmanager
    def running(self) -> Iterator[Self]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class JobServer(Served):
    """A job system. It acts once per Idempotency-Key, and counts.

    fail      so many of the first runs fail.         refuse   so many of the first requests are answered 503.
    silent    so many of the first requests start a run and then break off without an answer.
    status    what runs are until told otherwise.     nameless runs are started without naming them.
    replies   status codes given to the next requests for a run, before anything else.
    """

    def __init__(self) -> None:
        self.fail = self.refuse = self.silent = 0
        self.status = "succeeded"
        self.nameless = False
        self.replies: list[tuple[int, dict[str, str]]] = []
        self.asked: Counter[str] = Counter()
        self.runs: dict[str, dict[str, str]] = {}
        self.tokens: list[str | None] = []
        self.paths: list[str] = []
        jobs = self

        class Handler(Quiet):
            def do_POST(self) -> None:
                jobs.start(self)

            def do_GET(self) -> None:
                jobs.tell(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda request, client: None  # type: ignore[method-assign]
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def acted(self) -> int:
        """Runs that were really started."""
        return len(self.runs)

    def job(self, **fields: Any) -> dict[str, Any]:
        """The connection of a job here, followed and looked up; None leaves a field out."""
        whole = {
            "type": "http_job",
            "run": f"{self.url}/runs",
            "status": f"{self.url}/runs/{{run}}",
            "lookup": f"{self.url}/lookup",
            "timeout": 5,
            **fields,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def start(self, to: Quiet) -> None:
        to.body()
        key = to.headers["Idempotency-Key"]
        with self._lock:
            self.asked[key] += 1
            self.paths.append(to.path)
            self.tokens.append(to.headers.get("Authorization"))
            if self.replies:
                status, headers = self.replies.pop(0)
                return to.answer(status, {"error": "as told"}, headers)
            if self.refuse:
                self.refuse -= 1
                return to.answer(503)
            if key not in self.runs:
                self.runs[key] = {"id": f"run-{len(self.runs) + 1}"}
                if len(self.runs) <= self.fail:
                    self.runs[key]["status"] = "failed"
            if self.silent:
                self.silent -= 1
                to.close_connection = True
                return None
            run = self.runs[key]
            return to.answer(201, {"status": "running"} if self.nameless else {**run, "status": "queued"})

    def tell(self, to: Quiet) -> None:
        url = urlsplit(to.path)
        if url.path == "/huge":
            return to.answer(200, "x" * 2_000_000)
        if url.path == "/away":
            return to.answer(302, None, {"Location": f"{self.url}/runs/run-1"})
        if url.path == "/drip":
            return self._drip(to)
        known = {run["id"]: run for run in self.runs.values()}
        if url.path == "/lookup":
            run = self.runs.get(parse_qs(url.query)["key"][0])
        else:
            run = known.get(url.path.rpartition("/")[2])
        return to.answer(404) if run is None else to.answer(200, {"status": self.status, **run})

    def _drip(self, to: Quiet) -> None:
        to.send_response(200)
        to.end_headers()
        for _ in range(100):
            to.wfile.write(b"x")
            to.wfile.flush()
            time.sleep(0.05)


class HealthPage(Served):
    """Answers 200 while `well`, else 503."""

    def __init__(self, well: Callable[[], bool]) -> None:
        class Handler(Quiet):
            def do_GET(self) -> None:
                self.answer(200 if well() else 503)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda request, client: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}/health"


def serve(folder: Path) -> None:
    """The service's main function."""
    ill_by = [(folder / "ill").read_text().strip() if (folder / "ill").exists() else ""]

    class Handler(Quiet):
        def do_GET(self) -> None:
            self.answer(503 if ill_by[0] else 200)

        def do_POST(self) -> None:
            self.body()
            if self.path.startswith("/break?"):
                ill_by[0] = self.path.partition("?")[2]
            elif ill_by[0] == self.path.strip("/"):
                ill_by[0] = ""
            with (folder / "told").open("a") as told:
                told.write(f"{self.path} {self.headers.get('Idempotency-Key', '')}\n")
            self.answer(204)

    def reload(*_: Any) -> None:
        if ill_by[0] == "reload":
            ill_by[0] = ""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", int((folder / "port").read_text())), Handler)
    signal.signal(signal.SIGHUP, reload)
    stubborn = (folder / "stubborn").exists()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else signal.SIG_DFL)
    with (folder / "starts").open("a") as starts:
        starts.write(
            f"{os.getpid()} {' '.join(sorted(n for n in os.environ if n.startswith('MENDLINE_')))}\n"
        )
    (folder / "pid").write_text(str(os.getpid()))
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
