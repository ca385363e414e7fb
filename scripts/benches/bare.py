"""What the least possible service does on this machine: FastAPI that group-commits to SQLite, and nothing else.

No checking, no redaction, no grouping, no keys: each event is stored as it came, durably, and answered
with its id. `ingest` is compared with it.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.benches._common import Running
from scripts.benches._sending import load, sending_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    sending_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Single requests, then batches."""
    with bare() as running:
        return {
            "single": load(running, options, batch=1, seed=1)[0],
            "batches": load(running, options, batch=options.batch, seed=2)[0],
            "peak_mb": running.megabytes("VmHWM"),
        }


@contextlib.contextmanager
def bare() -> Iterator[Running]:
    """The bare service in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="mendline-bare-") as name:
        running = Running([sys.executable, "-m", "scripts.benches.bare", name], Path(name), {})
        try:
            running.address()
            yield running
        finally:
            running.stop()


class Inbox:
    """One thread commits what waits, in one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[tuple[list[Any], asyncio.Future[None]]] = []
        self._wake = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    async def put(self, rows: list[Any]) -> None:
        stored = asyncio.get_running_loop().create_future()
        with self._wake:
            self._waiting.append((rows, stored))
            self._wake.notify()
        await stored

    def _run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE event (id TEXT PRIMARY KEY, body BLOB NOT NULL)")
        while True:
            with self._wake:
                while not self._waiting:
                    self._wake.wait()
                group, self._waiting = self._waiting, []
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "INSERT INTO event VALUES (?, ?)", [row for rows, _ in group for row in rows]
            )
            database.execute("COMMIT")
            group[0][1].get_loop().call_soon_threadsafe(
                lambda done: [future.done() or future.set_result(None) for future in done],
                [f for _, f in group],
            )


def main() -> None:
    import orjson
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import Response

    inbox = Inbox(Path(sys.argv[1]) / "bare.db")
    app = FastAPI()

    @app.post("/api/v1/events")
    async def take(request: Request) -> Response:
        body = orjson.loads(await request.body())
        many = isinstance(body, list)
        rows = [(os.urandom(13).hex(), orjson.dumps(event)) for event in (body if many else [body])]
        await inbox.put(rows)
        ids = [{"event_id": row[0]} for row in rows]
        return Response(
            orjson.dumps({"accepted": ids} if many else ids[0]), 202, media_type="application/json"
        )

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
