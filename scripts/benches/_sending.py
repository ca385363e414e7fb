"""Sending from a process of its own, for the benches that take events."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.benches._common import ROOT, Running


def sending_arguments(parser: argparse.ArgumentParser) -> None:
    """How long and how much."""
    parser.add_argument("--seconds", type=float, default=10, help="of each kind of load")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--batch", type=int, default=100, help="events in a batch")


def load(
    running: Running,
    options: argparse.Namespace,
    *,
    batch: int,
    seed: int,
    key: str = "",
    kill_after: float | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """What came of it, and the ids that were acknowledged; `kill_after` seconds the server is killed."""
    host, port = running.address()
    with tempfile.TemporaryDirectory(prefix="mendline-ids-") as folder:
        ids = Path(folder) / "ids"
        sender = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "scripts.benches._load",
                    host,
                    str(port),
                    "--key",
                    key,
                    "--ids",
                    str(ids),
                ),
                *("--seconds", str(options.seconds), "--connections", str(options.connections)),
                *("--batch", str(batch), "--seed", str(seed)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert sender.stdin is not None
        assert sender.stdout is not None
        sender.stdout.readline()
        used = running.cpu()
        sender.stdin.write("go\n")
        sender.stdin.flush()
        if kill_after is not None:
            time.sleep(kill_after)
            running.kill()
        said, _ = sender.communicate(timeout=options.seconds + 120)
        if sender.returncode:
            sys.exit("bench: the sender failed")
        result = json.loads(said)
        if kill_after is None:
            used = running.cpu() - used
            result["server_cpu"] = round(used / result["seconds"], 2)
            result["server_us_per_event"] = round(used * 1e6 / max(1, result["acknowledged"]), 1)
        return result, ids.read_text().split()
