"""Commands: runs a registered program, without a shell, within bounds.

The program gets its own session, no input, few variables and a time limit, and none of the processes
that it began outlives the call. What stands in its arguments in the place of `{key}` and the like comes from
a plan; a value that could be read as an option is refused. What it prints may be a secret, so errors
tell the exit code alone.
"""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import IO

from app.foundation.record import Record
from app.systems.connections import Command
from app.systems.far_side import FarSideError
from app.systems.http import NoAnswer, NotNow

MOST_BYTES = 65_536  # of what it prints
_ALWAYS = ("PATH", "HOME", "LANG", "TZ")
# What may stand in the place of a placeholder: no white space, no mark of a shell, nothing like an option.
VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
_POLL = 0.05


class Told(Record):
    """`yes`: whether it ended with a code for "done" or "it is so". `out` is the whole of its standard output."""

    yes: bool
    out: str


def run(command: Command, **values: str) -> Told:
    """Runs it once, with `values` in the place of the placeholders. Blocks until it ended.

    Raises NotNow for an exit code that says so, NoAnswer when it did not end in its time, and FarSideError
    (again=False) when it cannot be run, printed more than `MOST_BYTES`, or ended with a code of no meaning.
    """
    name = command.name
    arguments = [_filled(argument, values) for argument in command.run]
    environment = {n: os.environ[n] for n in (*_ALWAYS, *command.environment) if n in os.environ}
    try:
        child = subprocess.Popen(
            arguments,
            cwd=command.working_directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise FarSideError(f"{name} cannot be run: {error.strerror}", again=False) from None
    assert child.stdout is not None
    with child.stdout as output:
        try:
            out = _read(child.pid, output, time.monotonic() + command.timeout)
        finally:
            # Not waited for yet, so the number still is that of its group and of nobody else's.
            with contextlib.suppress(PermissionError):  # macOS, when nothing of it lives
                os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
    if out is None:
        raise NoAnswer(f"{name} did not end in {command.timeout:g} s")
    if code in command.later:
        raise NotNow(f"{name} ended with {code}: not now", after=2.0)
    if code not in (*command.done, *command.denied):
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        raise FarSideError(f"{name} {how}", again=False)
    if len(out) > MOST_BYTES:
        raise FarSideError(f"{name} printed more than {MOST_BYTES:,} bytes", again=False)
    return Told(yes=code in command.done, out=out.decode("utf-8", "replace").strip())


def _filled(argument: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if not VALUE.fullmatch(value):
            raise FarSideError(f"the value for {{{name}}} has characters that no command gets", again=False)
        argument = argument.replace(f"{{{name}}}", value)
    return argument


def _read(pid: int, output: IO[bytes], ends: float) -> bytes | None:
    """What it prints until it ends, a little more than `MOST_BYTES` of it at most; None when `ends` comes first.

    The end is that of the process itself: what it left running in the background may hold its output open.
    """
    kept = bytearray()
    os.set_blocking(output.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(output, selectors.EVENT_READ)
        while True:
            over = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            while ready.get_map() and ready.select(0 if over else _POLL):
                data = os.read(output.fileno(), MOST_BYTES)
                if not data:
                    ready.unregister(output)
                elif len(kept) <= MOST_BYTES:
                    kept += data
                if time.monotonic() > ends:
                    break
            if over:
                return bytes(kept)
            if time.monotonic() > ends:
                return None
            if not ready.get_map():
                time.sleep(_POLL)
