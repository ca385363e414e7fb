"""A supervised process: asked for its health, told to reload, stopped and started.

A process is its number *and* its start time. Numbers are used again, so every signal goes to
a handle that was opened first and checked second; a stale pid file never hits a stranger.
"""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from app.foundation.record import Record
from app.systems import http
from app.systems.connections import SupervisedProcess
from app.systems.far_side import FarSideError
from app.systems.http import Health, ask, place

RELOAD_SIGNALS = ("SIGHUP", "SIGUSR1", "SIGUSR2")
START_SECONDS = 30.0  # how long a start command has until the pid file names a live process
_POLL = 0.05
# The boot time is whole seconds and a tick is a hundredth, so two clocks may differ by this much.
_SLACK = 2.0


class Running(Record):
    """One very process. `started` is an opaque mark of its start: equal means the same process."""

    pid: int
    started: str


def identify(pid: int) -> Running | None:
    """The live process with this number; None when there is none or it is a zombie."""
    found = _from_proc(pid) if Path("/proc/self/stat").exists() else _from_ps(pid)
    return None if found is None else Running(pid=pid, started=found[0])


def health(process: SupervisedProcess) -> Health:
    """Asks once; only 2xx is healthy."""
    return http.health(process.health, process.timeout)


def current(process: SupervisedProcess) -> Running | None:
    """The live process that the pid file names, None when it names none.

    A process that began after the file was written got a number used again and does not count.
    """
    try:
        pid = int(process.pid_file.read_text().strip())
        written = process.pid_file.stat().st_mtime
    except (OSError, ValueError):
        return None
    found = identify(pid) if pid > 1 else None
    return None if found is None or _began(pid) > written + _SLACK else found


def tell(process: SupervisedProcess, address: str, key: str) -> None:
    """POSTs to a clear-cache or reload address of the process. Raises FarSideError."""
    headers = {"Idempotency-Key": key}
    answer = ask("POST", address, timeout=process.timeout, headers=headers, proxies=False)
    if not 200 <= answer.status < 300:
        raise FarSideError(f"{place(address)} answered {answer.status}", again=answer.status >= 500)


def reload(process: SupervisedProcess, key: str) -> None:
    """Makes it read its configuration again, by signal or request. Raises FarSideError."""
    if process.reload not in RELOAD_SIGNALS:
        tell(process, process.reload, key)
        return
    running = current(process)
    if running is None or not _send(running, signal.Signals[process.reload]):
        raise FarSideError("there is no process to signal", again=False)


def can_start(process: SupervisedProcess) -> bool:
    """Whether the start command is on this machine."""
    folder = process.working_directory
    program = process.start[0]
    if folder is not None and "/" in program:
        program = str(folder / program)
    return (folder is None or folder.is_dir()) and shutil.which(program) is not None


def stop(running: Running, seconds: float) -> None:
    """SIGTERM, and SIGKILL when it still lives after `seconds`. Gone already is fine.

    Raises FarSideError when it may not be signalled or will not end.
    """
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        if not _send(running, number):
            return
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            if identify(running.pid) != running:
                return
            time.sleep(_POLL)
    raise FarSideError(f"process {running.pid} does not end", again=False)


def start(process: SupervisedProcess, former: Running | None) -> Running:
    """Starts it in a session of its own and waits until the pid file names a process other than `former`.

    Raises FarSideError when the command cannot be run, fails, or nothing appears in `START_SECONDS`.
    Blocks the calling thread meanwhile.
    """
    # Our own settings hold secrets that the service has no business with.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MENDLINE_")}
    try:
        with open(process.log_file or os.devnull, "ab") as log:
            child = subprocess.Popen(
                process.start,
                cwd=process.working_directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise FarSideError(f"the start command cannot be run: {error.strerror}", again=False) from None
    # Somebody must wait for the child, or it stays a zombie when it ends.
    threading.Thread(target=child.wait, name="started-process", daemon=True).start()
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        found = current(process)
        if found is not None and found != former:
            return found
        if child.returncode:
            raise FarSideError(f"the start command ended with {child.returncode}", again=False)
        time.sleep(_POLL)
    raise FarSideError(f"no new process in the pid file after {START_SECONDS:g} s", again=False)


def _send(running: Running, number: signal.Signals) -> bool:
    """False when that very process is gone. Raises FarSideError when it may not be signalled."""
    try:
        if not hasattr(os, "pidfd_open"):
            if identify(running.pid) != running:
                return False
            os.kill(running.pid, number)
            return True
        handle = os.pidfd_open(running.pid)
        try:
            # The handle is bound to a process, so what is checked now is what gets the signal.
            if identify(running.pid) != running:
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        finally:
            os.close(handle)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise FarSideError(f"process {running.pid} may not be signalled by us", again=False) from None


def _from_proc(pid: int) -> tuple[str, float] | None:
    """Mark and ticks since boot; proc(5), `stat` fields 3 and 22, counted after the name's last bracket."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else (f"{boot}/{fields[19]}", float(fields[19]))


def _from_ps(pid: int) -> tuple[str, float] | None:
    """Mark and age in seconds, where there is no /proc."""
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = ["ps", "-o", "stat=,etime=,lstart=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=10, check=False)
    fields = said.stdout.split(maxsplit=2)
    if said.returncode != 0 or len(fields) < 3 or fields[0].startswith(("Z", "X")):
        return None
    days, *parts = re.split("[-:]", fields[1] if "-" in fields[1] else f"0-{fields[1]}")
    age = float(days) * 86_400
    for power, part in enumerate(reversed(parts)):
        age += float(part) * 60**power
    return " ".join(fields[2].split()), age


def _began(pid: int) -> float:
    """Seconds since 1970 at which the process began; 0 when it is gone."""
    if Path("/proc/self/stat").exists():
        found = _from_proc(pid)
        boot = next(x for x in Path("/proc/stat").read_text().splitlines() if x.startswith("btime "))
        return 0.0 if found is None else float(boot.split()[1]) + found[1] / os.sysconf("SC_CLK_TCK")
    found = _from_ps(pid)
    return 0.0 if found is None else time.time() - found[1]
