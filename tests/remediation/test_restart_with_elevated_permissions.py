"""Restart with elevated permissions: on real rights that are granted by commands."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import Plan
from app.foundation.clock import FrozenClock
from app.remediation.strategies.restart_with_elevated_permissions import (
    GRANT,
    REVOKE,
    RUN,
    ElevatedParams,
    RestartWithElevatedPermissions,
)
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    RetryLater,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
)
from tests.doubles import JobServer, only, register
from tests.vault import CANARY, Vault

Made = tuple[RestartWithElevatedPermissions, Any]
Make = Callable[..., Made]


@pytest.fixture
def clock() -> FrozenClock:
    # The vault looks at the real time.
    return FrozenClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def make(vault: Vault, jobs: JobServer, clock: FrozenClock, tmp_path: Path) -> Make:
    def made(params: dict[str, Any] | None = None, **fields: Any) -> Made:
        connection = {**vault.grants(jobs.job()), **fields}
        targets = register(tmp_path, connection, name="loader")
        strategy = RestartWithElevatedPermissions(targets, clock)
        subject = Subject(incident_id="inc_1", type="permission_denied", target=only(targets))
        return strategy, strategy.plan(subject, ElevatedParams(**(params or {})))

    return made


def done(made: Made, tmp_path: Path, *steps: int) -> tuple[Snapshot, list[Receipt]]:
    strategy, plan = made
    kept = strategy.snapshot(plan, tmp_path)
    return kept, [strategy.execute(plan, plan.steps[step], f"k{step}", kept) for step in steps]


class TestPlan:
    def test_it_names_the_right_the_time_and_the_run(self, make: Make, jobs: JobServer) -> None:
        _, plan = make({"minutes": 10})
        where = jobs.url.removeprefix("http://")
        assert plan.summary == (
            f"grant ledger.read to loader for 10 minutes at most, run the job again, by {where}, take ledger.read back"
        )
        assert [step.index for step in plan.steps] == [GRANT, RUN, REVOKE]
        assert plan.steps[RUN].within == 600

    @pytest.mark.parametrize(
        ("params", "fields", "because"),
        [
            ({"right": "ledger.admin"}, {}, "ledger.admin is none of the rights that may be granted here"),
            ({}, {"rights": ["a", "b"]}, "which right is not said: one of a, b"),
            ({"minutes": 61}, {}, "61 minutes are more than the 60 allowed"),
            ({"minutes": 2}, {"most_minutes": 1}, "2 minutes are more than the 1 allowed"),
        ],
    )
    def test_refuses(self, make: Make, params: dict[str, Any], fields: dict[str, Any], because: str) -> None:
        assert make(params, **fields)[1] == NotApplicable(because=because)

    def test_a_right_that_is_there_already(self, make: Make, vault: Vault) -> None:
        vault.grant_elsewhere("ledger.read")
        assert make()[1] == NotApplicable(because="loader has the right ledger.read already")

    def test_a_system_that_does_not_answer(self, make: Make, vault: Vault) -> None:
        vault.fail("has")
        assert make()[1].because.endswith("ended with 2")


class TestTheTime:
    def test_it_ends_so_many_minutes_after_the_snapshot_however_often_that_is_taken(
        self, make: Make, vault: Vault, clock: FrozenClock, tmp_path: Path
    ) -> None:
        strategy, plan = make({"minutes": 10})
        ends = clock.now() + timedelta(minutes=10)
        kept = strategy.snapshot(plan, tmp_path)
        clock.advance(timedelta(minutes=5))
        assert strategy.snapshot(plan, tmp_path) == kept
        strategy.execute(plan, plan.steps[GRANT], "k", kept)
        ((_, _, until),) = vault.asked("grant")
        assert datetime.fromisoformat(until) == ends

    @pytest.mark.parametrize("step", [GRANT, RUN])
    def test_when_it_is_over_nothing_is_granted_or_run(
        self, make: Make, vault: Vault, jobs: JobServer, clock: FrozenClock, tmp_path: Path, step: int
    ) -> None:
        strategy, plan = make({"minutes": 10})
        kept = strategy.snapshot(plan, tmp_path)
        clock.advance(timedelta(minutes=10))
        with pytest.raises(NeedsHuman, match=r"the time for which ledger.read was to be granted is over"):
            strategy.execute(plan, plan.steps[step], "k", kept)
        assert (vault.asked("grant"), jobs.acted) == ([], 0)


class TestActing:
    def test_granted_run_and_taken_back(
        self, make: Make, vault: Vault, jobs: JobServer, tmp_path: Path
    ) -> None:
        jobs.status = "running"
        strategy, plan = made = make()
        kept, receipts = done(made, tmp_path, GRANT, RUN)
        assert "ledger.read" in vault.holds["granted"]
        assert isinstance(strategy.verify(plan, receipts), Pending)
        jobs.status = "succeeded"
        assert strategy.verify(plan, receipts) == Verified(says="run run-1 succeeded")
        receipts.append(strategy.execute(plan, plan.steps[REVOKE], "k2", kept))
        assert vault.holds["granted"] == {}
        assert strategy.verify(plan, receipts) == Verified(
            says="run run-1 succeeded, and ledger.read was taken back"
        )
        vault.grant_elsewhere("ledger.read")
        assert isinstance(strategy.verify(plan, receipts), Disproved)

    def test_somebody_granted_it_meanwhile(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = make()
        vault.grant_elsewhere("ledger.read")
        with pytest.raises(NeedsHuman, match=r"somebody has granted ledger.read since"):
            strategy.snapshot(plan, tmp_path)

    def test_what_a_crash_left_is_found(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = made = make()
        kept, (granted, begun) = done(made, tmp_path, GRANT, RUN)
        assert strategy.recall(plan, plan.steps[GRANT], "k0", kept) == granted
        found = strategy.recall(plan, plan.steps[RUN], "k1", kept)
        assert isinstance(found, Receipt)
        assert found.data["id"] == begun.data["id"] == "run-1"
        assert strategy.recall(plan, plan.steps[RUN], "k9", kept) == NotDone()
        assert strategy.recall(plan, plan.steps[REVOKE], "k2", kept) == NotDone()
        vault.fail("has")
        assert isinstance(strategy.recall(plan, plan.steps[GRANT], "k0", kept), Unclear)

    def test_a_run_that_failed_says_so_while_the_right_is_there(
        self, make: Make, jobs: JobServer, tmp_path: Path
    ) -> None:
        jobs.fail = 1
        strategy, plan = made = make()
        _, receipts = done(made, tmp_path, GRANT, RUN)
        assert strategy.verify(plan, receipts) == Disproved(says="run run-1 failed")

    def test_a_revoke_that_does_nothing_is_not_believed(
        self, make: Make, vault: Vault, tmp_path: Path
    ) -> None:
        strategy, plan = made = make(revoke=["/bin/echo", "{right}"])
        kept, _ = done(made, tmp_path, GRANT)
        with pytest.raises(RetryLater, match=r"echo ended well, but ledger.read is still in force"):
            strategy.execute(plan, plan.steps[REVOKE], "k", kept)
        undone = strategy.rollback(plan, kept, [])
        assert isinstance(undone, CannotUndo)
        assert undone.because.startswith("ledger.read could not be taken back: echo ended well")

    def test_errors_do_not_repeat_what_commands_print(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = made = make()
        kept, _ = done(made, tmp_path)
        vault.fail("grant")
        with pytest.raises(NeedsHuman) as said:
            strategy.execute(plan, plan.steps[GRANT], "k", kept)
        assert CANARY not in str(said.value)


class TestRollback:
    @pytest.mark.parametrize("known", [True, False], ids=["with a receipt", "its answer was lost"])
    def test_it_takes_back_and_again_is_no_error(
        self, make: Make, vault: Vault, tmp_path: Path, known: bool
    ) -> None:
        strategy, plan = made = make()
        kept, receipts = done(made, tmp_path, GRANT)
        for _ in range(2):
            undone = strategy.rollback(plan, kept, receipts if known else [])
            assert undone == Undone(says="ledger.read was taken back")
        assert vault.holds["granted"] == {}

    def test_a_plan_of_another_registration_is_left_to_a_person(
        self, make: Make, vault: Vault, tmp_path: Path
    ) -> None:
        strategy, plan = made = make()
        kept, _ = done(made, tmp_path, GRANT)
        make(rights=["ledger.write"])
        undone = strategy.rollback(plan, kept, [])
        assert isinstance(plan, Plan)
        assert isinstance(undone, CannotUndo)
        assert "registration of shop/job/loader changed" in undone.because
