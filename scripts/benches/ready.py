"""How soon a prepared installation answers after it is started again, and the memory that it then has."""

import argparse
import time
from typing import Any

from scripts.benches._common import START_WITHIN, data_folder, server, serving, until


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--starts", type=int, default=3, help="starts that count, after one that does not")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds from the command to the first 200 of each probe; the median of the starts."""
    with data_folder(options.prepared) as folder:
        with server(folder):
            pass  # it learns, where nothing was prepared
        healthy, ready, memory = [], [], []
        for _ in range(options.starts):
            (folder / "server.log").unlink()
            began = time.perf_counter()
            running = serving(folder)
            try:
                until(lambda: running.answers("/healthz"), START_WITHIN, "answering")  # noqa: B023
                healthy.append(round(time.perf_counter() - began, 2))
                until(lambda: running.answers("/readyz"), START_WITHIN, "being ready", every=0.05)  # noqa: B023
                ready.append(round(time.perf_counter() - began, 2))
                memory.append(running.megabytes("VmRSS"))
            finally:
                running.stop()
        return {
            "starts": options.starts,
            "healthz_s": sorted(healthy)[len(healthy) // 2],
            "readyz_s": sorted(ready)[len(ready) // 2],
            "rss_mb": sorted(memory)[len(memory) // 2],
            "each": {"healthz_s": healthy, "readyz_s": ready, "rss_mb": memory},
        }
