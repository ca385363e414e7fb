"""How many events a second are taken durably, how long each waits, and what a crash loses.

Single requests, then batches, then single requests until the server is killed with signal 9; every id
that was acknowledged is then looked for in the database. The bare service runs before it in the same way.
"""

import argparse
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.benches._common import data_folder, new_key, server
from scripts.benches._sending import load, sending_arguments
from scripts.benches.bare import run as run_bare


def arguments(parser: argparse.ArgumentParser) -> None:
    sending_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The bare service, then ours."""
    bare = run_bare(options)
    with data_folder(options.prepared) as folder:
        with server(folder) as running:
            key = new_key(folder, "ingest")
            ready = running.megabytes("VmRSS")
            single, ids = load(running, options, batch=1, seed=1, key=key)
            single["stored"] = stored(folder)
            batches, more = load(running, options, batch=options.batch, seed=2, key=key)
            batches["stored"] = stored(folder)
            ids += more
            peak = running.megabytes("VmHWM")
            killed, more = load(running, options, batch=1, seed=3, key=key, kill_after=options.seconds / 2)
            ids += more
        found = set(rows(folder, "SELECT id FROM event"))
        return {
            "seconds_each": options.seconds,
            "connections": options.connections,
            "fsync_ms": fsync(),
            "single": single,
            "batches": batches,
            "killed": killed,
            "acknowledged": len(ids),
            "found_after_kill": len(found.intersection(ids)),
            "lost": len(set(ids) - found),
            "stored_after_kill": stored(folder),
            "ready_mb": ready,
            "peak_mb": peak,
            "bare": bare,
            "ratio_to_bare": {
                kind: round(ours["events_per_second"] / bare[kind]["events_per_second"], 2)
                for kind, ours in (("single", single), ("batches", batches))
            },
        }


def rows(folder: Path, query: str) -> list[Any]:
    """The first column of a query, read beside the server or after it."""
    database = sqlite3.connect(folder / "mendline.db", timeout=30)
    try:
        return [row[0] for row in database.execute(query)]
    finally:
        database.close()


def stored(folder: Path) -> dict[str, int]:
    """What is in the database now."""
    return {
        "events": rows(folder, "SELECT count(*) FROM event")[0],
        "incidents": rows(folder, "SELECT count(*) FROM incident")[0],
        "diagnosed": rows(folder, "SELECT count(DISTINCT incident_id) FROM diagnosis")[0],
    }


def fsync(times: int = 50) -> float:
    """The median time in ms until 4 KiB are on the disk: the least that a durable commit waits."""
    taken = []
    with tempfile.NamedTemporaryFile(prefix="mendline-fsync-") as file:
        for _ in range(times):
            file.write(b"\0" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return round(sorted(taken)[times // 2] * 1000, 2)
