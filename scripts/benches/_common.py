"""What the benches share: the machine, the percentiles, and a server in a data folder of its own."""

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
MENDLINE = [sys.executable, "-c", "from app.cli import main; main()"]
START_WITHIN = 600.0  # seconds; a folder that was not prepared learns from the cases first


def machine() -> dict[str, Any]:
    """What the numbers were measured on, and how busy it was with other things just before."""
    return {
        "cpus": os.cpu_count(),
        "model": first("/proc/cpuinfo", "model name"),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def first(path: str, name: str) -> str:
    """The value after `name` in a file of /proc; empty where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the largest, in ms."""
    if not seconds:
        return {"n": 0}
    ranked = sorted(seconds)
    at = {"p50": ranked[len(ranked) // 2], "p99": ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]}
    return {"n": len(ranked), **{name: round(value * 1000, 2) for name, value in at.items()}} | {
        "max": round(ranked[-1] * 1000, 2)
    }


def timed(times: int, call: Callable[[], object]) -> dict[str, float]:
    """How long `call` takes, after three times to warm up."""
    taken = []
    for number in range(times + 3):
        began = time.perf_counter()
        call()
        if number >= 3:
            taken.append(time.perf_counter() - began)
    return milliseconds(taken)


def until(true: Callable[[], Any], within: float, says: str, every: float = 0.01) -> Any:
    """Waits for something true and returns it; ends the bench when it does not come."""
    ends = time.monotonic() + within
    while True:
        if found := true():
            return found
        if time.monotonic() > ends:
            sys.exit(f"bench: {says} did not happen within {within:g} s")
        time.sleep(every)


class Running:
    """A server process that prints its address."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._log = folder / "server.log"
        # What is installed is compiled once, not at each start.
        compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=compiled | environment, stdout=log, stderr=log
            )

    def address(self) -> tuple[str, int]:
        """Host and port, once they are printed."""

        def printed() -> tuple[str, int] | None:
            if self.process.poll() is not None:
                sys.exit(f"bench: the server ended:\n{self._log.read_text()[-2000:]}")
            _, found, rest = self._log.read_text().rpartition("http://")
            if not found or "\n" not in rest:
                return None
            host, _, port = rest.split(maxsplit=1)[0].rpartition(":")
            return host, int(port)

        return until(printed, 60, "an address")

    def says(self, word: str) -> bool:
        """Whether it has printed that."""
        if self.process.poll() is not None:
            sys.exit(f"bench: it ended:\n{self._log.read_text()[-2000:]}")
        return word in self._log.read_text()

    def answers(self, path: str) -> bool:
        """Whether a probe says 200."""
        host, port = self.address()
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def megabytes(self, field: str) -> float:
        """VmRSS (now) or VmHWM (at its peak); 0 where there is no /proc."""
        return round(int((first(f"/proc/{self.process.pid}/status", field).split() or ["0"])[0]) / 1024, 1)

    def cpu(self) -> float:
        """Seconds of processor time that it has used; 0 where there is no /proc."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """As a crash would: nothing is flushed, nothing is said."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """As an operator would."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def data_folder(prepared: Path | None) -> Iterator[Path]:
    """A data folder of its own, removed afterwards; a copy of `prepared`, in which nothing is to be learnt."""
    with tempfile.TemporaryDirectory(prefix="mendline-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if prepared:
            if not (prepared / "mendline.db").exists():
                environment = os.environ | {"MENDLINE_DATA_DIR": str(prepared)}
                subprocess.run([*MENDLINE, "setup"], cwd=ROOT, env=environment, stdout=sys.stderr, check=True)
            for file in prepared.glob("mendline.db*"):
                shutil.copy(file, folder)
            shutil.copytree(prepared / "models", folder / "models", dirs_exist_ok=True)
        yield folder


def new_key(folder: Path, role: str) -> str:
    """An API key; the server has been started in `folder` before."""
    from app.db.engine import Database, sqlite_url
    from app.people.person import Role
    from app.web.security import create_key

    database = Database(sqlite_url(folder / "mendline.db"))
    try:
        with database.writing() as session:
            return create_key(session, f"bench-{time.time_ns()}", Role(role), datetime.now(UTC))
    finally:
        database.close()


def serving(folder: Path) -> Running:
    """The product on a free port, in `folder`; perhaps not ready yet."""
    return Running([*MENDLINE, "serve", "--port", "0"], folder, {"MENDLINE_DATA_DIR": str(folder)})


@contextmanager
def server(folder: Path) -> Iterator[Running]:
    """The product, ready; stopped afterwards."""
    running = serving(folder)
    try:
        until(lambda: running.answers("/readyz"), START_WITHIN, "being ready", every=0.1)
        yield running
    finally:
        running.stop()
