"""Supervised processes, real ones: found, told, stopped and started."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.systems import process
from app.systems.far_side import FarSideError
from app.systems.process import Running
from tests.doubles import Service, until

pytestmark = pytest.mark.server


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of our business."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        yield child
        child.kill()


class TestIdentify:
    def test_a_process_is_itself_and_no_other(self, stranger: subprocess.Popen[bytes]) -> None:
        mine, other = process.identify(os.getpid()), process.identify(stranger.pid)
        assert mine == process.identify(os.getpid())
        assert mine != other

    def test_one_that_ended_is_none_even_before_its_parent_noticed(self) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            until(lambda: process.identify(child.pid) is None)
        assert process.identify(child.pid) is None

    def test_ps_tells_the_same_where_there_is_no_proc(self, stranger: subprocess.Popen[bytes]) -> None:
        found = process._from_ps(stranger.pid)
        assert found is not None
        assert 0 <= found[1] < 600
        assert process._from_ps(stranger.pid) == (found[0], pytest.approx(found[1], abs=5))
        stranger.kill()
        stranger.wait()
        assert process._from_ps(stranger.pid) is None


class TestCurrent:
    def test_the_pid_file_names_it(self, service: Service) -> None:
        running = service.start()
        assert process.current(service.target) == running

    @pytest.mark.parametrize("text", ["", "no number", "0", "-1", "1", "4194303"])
    def test_a_pid_file_that_names_none(self, service: Service, text: str) -> None:
        assert process.current(service.target) is None
        service.target.pid_file.write_text(text)
        assert process.current(service.target) is None

    def test_a_number_used_again_since_the_file_was_written_does_not_count(
        self, service: Service, stranger: subprocess.Popen[bytes]
    ) -> None:
        service.target.pid_file.write_text(str(stranger.pid))
        assert process.current(service.target) is not None
        os.utime(service.target.pid_file, (1_700_000_000, 1_700_000_000))
        assert process.current(service.target) is None


class TestHealth:
    def test_ill_and_well(self, service: Service) -> None:
        service.start()
        assert process.health(service.target).ok
        service.fall_ill("restart")
        found = process.health(service.target)
        assert (found.ok, found.says) == (False, f"127.0.0.1:{service.port} answered 503")

    def test_not_running(self, service: Service) -> None:
        assert not process.health(service.target).ok


class TestTelling:
    def test_by_request_with_its_key(self, service: Service) -> None:
        service.start()
        service.fall_ill("cache")
        process.tell(service.target, f"{service.url}/cache", "k1")
        assert process.health(service.target).ok
        assert "/cache k1" in (service.folder / "told").read_text()

    def test_by_signal(self, service: Service) -> None:
        service.start()
        service.fall_ill("reload")
        process.reload(service.target, "k1")
        until(lambda: process.health(service.target).ok)

    def test_nobody_to_tell(self, service: Service) -> None:
        with pytest.raises(FarSideError, match="no process to signal"):
            process.reload(service.target, "k1")
        with pytest.raises(FarSideError, match="not reached"):
            process.tell(service.target, f"{service.url}/cache", "k1")


class TestStop:
    def test_it_ends(self, service: Service) -> None:
        running = service.start()
        process.stop(running, 10)
        assert process.identify(running.pid) is None
        process.stop(running, 10)

    def test_one_that_does_not_listen_is_killed(self, service: Service) -> None:
        (service.folder / "stubborn").touch()
        running = service.start()
        process.stop(running, 0.2)
        assert process.identify(running.pid) is None

    def test_a_number_used_again_is_never_signalled(self, stranger: subprocess.Popen[bytes]) -> None:
        found = process.identify(stranger.pid)
        assert found is not None
        process.stop(Running(pid=stranger.pid, started="another time"), 0.2)
        assert process._send(found, signal.SIGCONT)
        assert stranger.poll() is None

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become nobody")
    def test_one_that_we_may_not_signal(self, stranger: subprocess.Popen[bytes]) -> None:
        # In a child, because giving up root cannot be taken back.
        script = (
            "import os, sys; from app.systems import process; from app.systems.far_side import FarSideError\n"
            "os.setuid(65534)\n"
            "try: process.stop(process.identify(int(sys.argv[1])), 1)\n"
            "except FarSideError as error: print(error.says, error.again)\n"
        )
        command = [sys.executable, "-c", script, str(stranger.pid)]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert said.stdout == f"process {stranger.pid} may not be signalled by us False\n"


class TestStart:
    def test_it_runs_in_a_session_of_its_own_without_our_settings(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MENDLINE_SECRET", "hidden")
        running = service.start()
        assert os.getsid(running.pid) == running.pid
        assert (service.folder / "starts").read_text() == f"{running.pid} \n"
        until(lambda: process.health(service.target).ok)

    def test_a_new_one_is_told_from_the_former(self, service: Service) -> None:
        former = service.start()
        process.stop(former, 10)
        assert process.start(service.target, former) != former

    def test_a_command_that_fails(self, service: Service) -> None:
        bad = service.target.model_copy(update={"start": (sys.executable, "-c", "raise SystemExit(3)")})
        with pytest.raises(FarSideError, match="ended with 3"):
            process.start(bad, None)

    def test_a_command_that_is_not_there(self, service: Service) -> None:
        bad = service.target.model_copy(update={"start": ("/no/such/program",)})
        assert not process.can_start(bad)
        assert process.can_start(service.target)
        with pytest.raises(FarSideError, match="cannot be run"):
            process.start(bad, None)

    def test_its_words_go_into_the_log_file(self, service: Service, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", service.port)):  # the port is taken, so it fails and says why
            loud = service.target.model_copy(update={"log_file": tmp_path / "log"})
            with pytest.raises(FarSideError, match="ended with 1"):
                process.start(loud, None)
        assert "Address already in use" in (tmp_path / "log").read_text()
