"""Refresh credentials and retry: on a real store that is reached by commands."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import Plan
from app.remediation.strategies.refresh_credentials_and_retry import (
    RefreshCredentialsAndRetry,
    RefreshParams,
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
    Subject,
    Unclear,
    Undone,
    Verified,
)
from tests.doubles import JobServer, only, register
from tests.vault import CANARY, Vault

PROGRAM = Path(sys.executable).name
Made = tuple[RefreshCredentialsAndRetry, Any]
Make = Callable[..., Made]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def make(vault: Vault, tmp_path: Path) -> Make:
    def made(run_id: str = "", **fields: Any) -> Made:
        targets = register(tmp_path, vault.credential(**fields), name="login")
        strategy = RefreshCredentialsAndRetry(targets)
        subject = Subject(
            incident_id="inc_1", type="authentication_failure", run_id=run_id, target=only(targets)
        )
        return strategy, strategy.plan(subject, RefreshParams())

    return made


def issued(made: Made, tmp_path: Path) -> tuple[Any, Receipt]:
    strategy, plan = made
    kept = strategy.snapshot(plan, tmp_path)
    return kept, strategy.execute(plan, plan.steps[0], "k1", kept)


class TestPlan:
    def test_in_words(self, make: Make, jobs: JobServer) -> None:
        _, plan = make(rerun=jobs.job())
        where = jobs.url.removeprefix("http://")
        assert [step.says for step in plan.steps] == [
            f"have {PROGRAM} issue a new version of login (in force: v1)",
            f"run the job again, by {where}",
        ]
        assert plan.undo == "put version v1 in force again"
        assert plan.steps[0].within > 0

    def test_another_version_in_force_is_another_plan(self, make: Make, vault: Vault) -> None:
        _, before = make()
        vault.issue_elsewhere()
        vault.break_down()
        _, after = make()
        assert before.hash != after.hash

    def test_a_credential_that_works_is_left_alone(self, make: Make, vault: Vault) -> None:
        vault.issue_elsewhere()
        _, refused = make()
        assert refused == NotApplicable(because=f"login works: {PROGRAM} says so")

    def test_a_run_that_must_be_named_and_is_not(self, make: Make, jobs: JobServer) -> None:
        job = jobs.job(run=f"{jobs.url}/runs/{{run_id}}/again")
        assert isinstance(make(rerun=job)[1], NotApplicable)
        assert isinstance(make("run-0", rerun=job)[1], Plan)

    @pytest.mark.parametrize("verb", ["works", "current"])
    def test_a_store_that_does_not_answer(self, make: Make, vault: Vault, verb: str) -> None:
        vault.fail(verb)
        assert make()[1].because.endswith("ended with 2")

    @pytest.mark.parametrize("fields", [{"versions": r"\d+"}, {"current": None}])
    def test_what_is_no_version_is_not_repeated(
        self, make: Make, vault: Vault, fields: dict[str, Any]
    ) -> None:
        if fields.get("current", "") is None:
            fields = {"current": ["/bin/echo", "ghp_" + "a1B2" * 9]}
        refused = make(**fields)[1]
        assert refused.because.endswith("printed something that is no version id")


class TestActing:
    def test_there_and_back(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = made = make()
        kept, receipt = issued(made, tmp_path)
        assert (receipt.data, vault.holds["now"]) == ({"version": "v2"}, "v2")
        assert isinstance(strategy.verify(plan, [receipt]), Verified)
        assert strategy.rollback(plan, kept, [receipt]) == Undone(says="version v1 is in force again")
        assert vault.holds["now"] == "v1"
        assert len(vault.asked("restore")) == 1
        strategy.rollback(plan, kept, [receipt])
        assert len(vault.asked("restore")) == 1

    def test_somebody_else_was_quicker(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = make()
        vault.issue_elsewhere()
        with pytest.raises(NeedsHuman, match="version v2 is in force now, and was v1"):
            strategy.snapshot(plan, tmp_path)

    def test_with_a_lookup_a_version_of_somebody_else_is_not_ours(
        self, make: Make, vault: Vault, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        vault.issue_elsewhere()
        assert strategy.recall(plan, plan.steps[0], "k1", kept) == NotDone()

    def test_without_a_lookup_the_version_tells(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = make(lookup=None)
        kept = strategy.snapshot(plan, tmp_path)
        assert strategy.recall(plan, plan.steps[0], "k1", kept) == NotDone()
        receipt = strategy.execute(plan, plan.steps[0], "k1", kept)
        assert strategy.recall(plan, plan.steps[0], "k1", kept) == receipt

    def test_a_store_that_cannot_say_is_unclear(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        vault.fail("lookup")
        assert isinstance(strategy.recall(plan, plan.steps[0], "k1", kept), Unclear)

    @pytest.mark.parametrize(("how", "error"), [("75", RetryLater), ("2", NeedsHuman), ("1", NeedsHuman)])
    def test_a_store_that_will_not(
        self, make: Make, vault: Vault, tmp_path: Path, how: str, error: type[Exception]
    ) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        vault.fail("issue", how)
        with pytest.raises(error) as said:
            strategy.execute(plan, plan.steps[0], "k1", kept)
        assert CANARY not in str(said.value)
        assert strategy.rollback(plan, kept, []) == Undone(says="no version was issued")

    def test_one_that_hangs_is_asked_again_under_the_same_key(
        self, make: Make, vault: Vault, tmp_path: Path
    ) -> None:
        slow = {"run": vault.command("issue", "{key}"), "timeout": 1}
        strategy, plan = make(issue=slow)
        kept = strategy.snapshot(plan, tmp_path)
        vault.fail("issue", "sleep")
        with pytest.raises(RetryLater, match="did not end in 1 s"):
            strategy.execute(plan, plan.steps[0], "k1", kept)
        vault.fail("issue", "")
        assert strategy.execute(plan, plan.steps[0], "k1", kept).data == {"version": "v2"}


class TestVerify:
    def test_the_run_counts_and_then_the_credential(
        self, make: Make, vault: Vault, jobs: JobServer, tmp_path: Path
    ) -> None:
        jobs.status = "running"
        strategy, plan = made = make(rerun=jobs.job())
        kept, receipt = issued(made, tmp_path)
        begun = strategy.execute(plan, plan.steps[1], "k2", kept)
        assert strategy.recall(plan, plan.steps[1], "k2", kept) == begun
        assert isinstance(strategy.verify(plan, [receipt, begun]), Pending)
        jobs.status = "succeeded"
        seen = strategy.verify(plan, [receipt, begun])
        assert isinstance(seen, Verified)
        assert seen.says.endswith("says that it works, and run run-1 succeeded")
        vault.break_down()
        assert "does not work, though run run-1 succeeded" in strategy.verify(plan, [receipt, begun]).says
        jobs.status = "failed"
        assert strategy.verify(plan, [receipt, begun]) == Disproved(says="run run-1 failed")

    def test_a_version_may_take_a_moment_to_hold(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = made = make()
        _, receipt = issued(made, tmp_path)
        vault.break_down()
        assert isinstance(strategy.verify(plan, [receipt]), Pending)

    def test_a_job_that_cannot_be_asked_is_asked_later(
        self, make: Make, jobs: JobServer, tmp_path: Path
    ) -> None:
        strategy, plan = made = make(rerun={"type": "http_job", "run": "http://127.0.0.1:1/"})
        kept, _ = issued(made, tmp_path)
        with pytest.raises(RetryLater):
            strategy.execute(plan, plan.steps[1], "k2", kept)


class TestRollback:
    def test_a_version_of_somebody_else_stays(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = made = make()
        kept, receipt = issued(made, tmp_path)
        vault.issue_elsewhere()
        assert strategy.rollback(plan, kept, [receipt]) == CannotUndo(
            because="somebody has issued version v3 since; v1 was in force before"
        )
        assert vault.holds["now"] == "v3"

    def test_a_store_that_does_not_put_it_back(self, make: Make, vault: Vault, tmp_path: Path) -> None:
        strategy, plan = made = make(restore=["/bin/echo", "{version}"])
        kept, receipt = issued(made, tmp_path)
        assert strategy.rollback(plan, kept, [receipt]) == CannotUndo(
            because="echo ended well, but version v2 is in force"
        )
        vault.fail("current", "75")
        undone = strategy.rollback(plan, kept, [receipt])
        assert isinstance(undone, CannotUndo)
        assert "version v1 could not be put in force again" in undone.because
