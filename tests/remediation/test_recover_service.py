"""Recover service: a real process that falls ill, is told, restarted, and does not always come back."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import Plan
from app.remediation.strategies.recover_service import RecoverParams, RecoverService
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    Subject,
    Undone,
    Verified,
)
from app.systems import process
from tests.doubles import Service, only, register, until

pytestmark = pytest.mark.server
Make = Callable[..., tuple[RecoverService, Any]]


@pytest.fixture
def make(service: Service, tmp_path: Path) -> Make:
    def made(tries: int = 3, **fields: Any) -> Any:
        targets = register(tmp_path, {**service.connection, **fields}, name="web")
        strategy = RecoverService(targets)
        subject = Subject(incident_id="inc_1", type="service_unavailable", target=only(targets))
        return strategy, strategy.plan(subject, RecoverParams(tries=tries))

    return made


def settled(strategy: RecoverService, plan: Plan, receipts: list[Receipt]) -> Any:
    until(lambda: not isinstance(strategy.verify(plan, receipts), Pending))
    return strategy.verify(plan, receipts)


def restart(strategy: RecoverService, plan: Plan, tmp_path: Path) -> tuple[Any, Receipt]:
    kept = strategy.snapshot(plan, tmp_path)
    return kept, strategy.execute(plan, plan.steps[-1], "k", kept)


class TestPlan:
    def test_from_mild_to_strong(self, make: Make, service: Service) -> None:
        _, plan = make(clear_cache=f"{service.url}/cache")
        assert [step.does["act"] for step in plan.steps] == ["clear_cache", "reload", "restart"]
        assert plan.summary == "bring web back: clear cache, else reload, else restart"
        assert plan.steps[1].says == "have web read its configuration again (SIGHUP)"
        assert plan.steps[2].says.startswith(
            f"restart web: stop the process in {service.folder / 'pid'} (SIGTERM"
        )

    @pytest.mark.parametrize(("tries", "acts"), [(1, ["restart"]), (2, ["clear_cache", "restart"])])
    def test_the_restart_is_always_among_them(
        self, make: Make, service: Service, tries: int, acts: list[str]
    ) -> None:
        _, plan = make(tries=tries, clear_cache=f"{service.url}/cache")
        assert [step.does["act"] for step in plan.steps] == acts

    def test_how_long_it_may_take_and_must_hold_is_the_owners_to_say(
        self, service: Service, tmp_path: Path
    ) -> None:
        targets = register(tmp_path, service.connection, name="web")
        subject = Subject(incident_id="inc_1", type="service_unavailable", target=only(targets))
        plan = RecoverService(targets).plan(subject, RecoverParams(within=90, settle=20))
        assert isinstance(plan, Plan)
        assert (plan.within, plan.settle) == (90, 20)

    def test_a_healthy_service_is_left_alone(self, make: Make, service: Service) -> None:
        service.start()
        _, plan = make()
        assert isinstance(plan, NotApplicable)
        assert plan.because.startswith("it is healthy")

    @pytest.mark.parametrize(
        "fields", [{"start": ["/no/such"]}, {"reload": "SIGKILL"}, {"reload": "file:///x"}]
    )
    def test_what_cannot_be_done_is_not_planned(self, make: Make, fields: dict[str, Any]) -> None:
        assert isinstance(make(**fields)[1], NotApplicable)


class TestTheLadder:
    @pytest.mark.parametrize(("cure", "steps"), [("cache", 1), ("reload", 2), ("restart", 3)])
    def test_each_cure_ends_it(
        self, make: Make, service: Service, tmp_path: Path, cure: str, steps: int
    ) -> None:
        former = service.start()
        service.fall_ill(cure)
        strategy, plan = make(clear_cache=f"{service.url}/cache")
        kept = strategy.snapshot(plan, tmp_path)
        receipts: list[Receipt] = []
        for step in plan.steps[:steps]:
            assert not isinstance(strategy.verify(plan, receipts), Verified)
            receipts.append(strategy.execute(plan, step, f"k{step.index}", kept))
        assert isinstance(settled(strategy, plan, receipts), Verified)
        assert (process.current(service.target) == former) is (cure != "restart")
        undone = strategy.rollback(plan, kept, receipts)
        assert isinstance(undone, Undone)
        assert process.health(service.target).ok

    def test_a_service_that_is_gone_is_only_started(
        self, make: Make, service: Service, tmp_path: Path
    ) -> None:
        strategy, plan = make(clear_cache=f"{service.url}/cache")
        kept = strategy.snapshot(plan, tmp_path)
        assert kept.data == {"running": None}
        receipts = [strategy.execute(plan, step, "k", kept) for step in plan.steps]
        assert [receipt.says.partition(":")[0] for receipt in receipts[:2]] == [
            "could not clear cache",
            "could not reload",
        ]
        assert isinstance(settled(strategy, plan, receipts), Verified)
        assert service.started == 1


class TestRestart:
    def test_doing_it_again_goes_on_where_a_crash_left_it(
        self, make: Make, service: Service, tmp_path: Path
    ) -> None:
        former = service.start()
        service.fall_ill("restart")
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        process.stop(former, 10)  # the crash: stopped, and not yet started
        assert strategy.recall(plan, plan.steps[-1], "k", kept) == NotDone()
        strategy.execute(plan, plan.steps[-1], "k", kept)
        assert service.started == 2

    def test_a_stranger_that_got_the_number_is_left_alone(
        self, make: Make, service: Service, tmp_path: Path
    ) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
            service.target.pid_file.write_text(str(stranger.pid))
            os.utime(service.target.pid_file, (1_700_000_000, 1_700_000_000))
            strategy, plan = make()
            _, receipt = restart(strategy, plan, tmp_path)
            assert isinstance(settled(strategy, plan, [receipt]), Verified)
            assert stranger.poll() is None
            stranger.kill()

    def test_one_that_does_not_come_back(self, make: Make, service: Service, tmp_path: Path) -> None:
        service.start()
        service.fall_ill("restart")
        broken = tmp_path / "start.py"
        broken.write_text("raise SystemExit(1)")
        strategy, plan = make(start=[sys.executable, str(broken)])
        kept, receipt = restart(strategy, plan, tmp_path)
        assert receipt.says == "stopped it; the start command ended with 1"
        assert strategy.verify(plan, [receipt]) == Disproved(says="it was restarted and does not run")
        first = strategy.rollback(plan, kept, [receipt])
        assert isinstance(first, CannotUndo)
        assert strategy.rollback(plan, kept, [receipt]) == first
        broken.write_text(f"import sys; sys.path[:0] = {sys.path!r}\n")
        with broken.open("a") as file:
            file.write(f"import runpy; sys.argv = ['', {str(service.folder)!r}]\n")
            file.write(f"runpy.run_path({service.connection['start'][1]!r}, run_name='__main__')\n")
        assert isinstance(strategy.rollback(plan, kept, [receipt]), Undone)
        until(lambda: process.health(service.target).ok)

    def test_one_that_stays_ill_is_pending_and_then_left_running(
        self, make: Make, service: Service, tmp_path: Path
    ) -> None:
        (service.folder / "ill").write_text("never")
        strategy, plan = make()
        kept, receipt = restart(strategy, plan, tmp_path)
        until(lambda: "answered 503" in strategy.verify(plan, [receipt]).says)
        assert isinstance(strategy.verify(plan, [receipt]), Pending)
        assert isinstance(strategy.rollback(plan, kept, [receipt]), Undone)
        assert process.current(service.target) is not None

    def test_it_did_not_run_before_and_does_not_run_now(
        self, make: Make, service: Service, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept, receipt = restart(strategy, plan, tmp_path)
        service.end()
        assert strategy.rollback(plan, kept, [receipt]) == Undone(says="it does not run, as before")
