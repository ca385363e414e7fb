"""Commands: real programs, within their bounds."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from app.systems import commands
from app.systems.connections import Command
from app.systems.far_side import FarSideError
from app.systems.http import NoAnswer, NotNow
from app.systems.process import identify
from tests.doubles import until


def sh(script: str, *more: str, **fields: Any) -> Command:
    return Command(run=("/bin/sh", "-c", script, "sh", *more), **fields)


class TestRun:
    def test_it_tells_what_was_printed_and_said(self) -> None:
        told = commands.run(sh("echo v7; echo noise >&2"))
        assert (told.yes, told.out) == (True, "v7")
        assert not commands.run(sh("exit 1")).yes

    def test_values_are_one_argument_each_and_no_shell_reads_them(self) -> None:
        assert commands.run(sh('echo "$1:$#"', "a{right}b"), right="x.y").out == "ax.yb:1"

    @pytest.mark.parametrize("value", ["-rf", "a b", "$(id)", "a;b", "a\nb", "", "{key}", "x" * 201])
    def test_a_value_that_could_mean_more_is_refused(self, value: str) -> None:
        with pytest.raises(FarSideError, match="characters that no command gets") as refused:
            commands.run(sh("exit 0", "{right}"), right=value)
        assert value not in refused.value.says or not value

    def test_it_gets_few_variables_no_input_and_its_folder(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("MENDLINE_DB__URL", "OTHER", "WANTED"):
            monkeypatch.setenv(name, "value")
        command = sh("env | cut -d= -f1; cat; pwd", environment=("WANTED",), working_directory=tmp_path)
        *names, folder = commands.run(command).out.split()
        # The shell sets some of its own.
        assert set(names) - {"PWD", "OLDPWD", "SHLVL", "_"} <= {"PATH", "HOME", "LANG", "TZ", "WANTED"}
        assert "WANTED" in names
        assert Path(folder) == tmp_path.resolve()

    def test_exit_codes_mean_what_is_registered(self) -> None:
        assert commands.run(sh("exit 3", done=(0, 3))).yes
        assert not commands.run(sh("exit 4", denied=(4,))).yes
        with pytest.raises(NotNow, match="sh ended with 75"):
            commands.run(sh("exit 75"))
        with pytest.raises(FarSideError, match=r"^sh ended with 2$") as odd:
            commands.run(sh("echo secret >&2; exit 2"))
        assert not odd.value.again
        with pytest.raises(FarSideError, match="ended by signal 9"):
            commands.run(sh("kill -9 $$"))

    def test_one_that_is_not_there(self) -> None:
        with pytest.raises(FarSideError, match="nothing-here cannot be run: No such file") as missing:
            commands.run(Command(run=("/opt/secret/nothing-here",)))
        assert not missing.value.again

    def test_much_output_is_cut_and_refused(self) -> None:
        with pytest.raises(FarSideError, match="printed more than 65,536 bytes"):
            commands.run(sh("yes | head -c 5000000"))


class TestEnd:
    def test_past_its_time_all_of_its_processes_are_gone(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=r"sh did not end in 0.5 s"):
            commands.run(sh(f"sleep 60 & echo $! >> {pids}; echo $$ >> {pids}; wait", timeout=0.5))
        assert time.monotonic() - began < 10
        for pid in map(int, pids.read_text().split()):
            until(lambda pid=pid: identify(pid) is None)  # type: ignore[misc]

    def test_one_that_prints_for_ever_is_ended_too(self) -> None:
        with pytest.raises(NoAnswer):
            commands.run(sh("yes", timeout=0.5))

    def test_what_it_left_in_the_background_holds_nothing_up_and_is_ended(self, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        began = time.monotonic()
        assert commands.run(sh(f"sleep 60 & echo $! > {pid}; echo done", timeout=30)).out == "done"
        assert time.monotonic() - began < 10
        until(lambda: identify(int(pid.read_text())) is None)

    def test_nothing_is_left_to_wait_for(self, tmp_path: Path) -> None:
        commands.run(sh(f"echo $$ > {tmp_path}/pid"))
        with pytest.raises(ChildProcessError):
            os.waitpid(int((tmp_path / "pid").read_text()), os.WNOHANG)
