"""Retry with exponential backoff: jobs that fail, are refused, fall silent, or run once only."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import Plan
from app.remediation.strategies.retry_with_exponential_backoff import (
    BackoffParams,
    RetryWithExponentialBackoff,
)
from app.remediation.strategy import (
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

KEPT = Snapshot()
Make = Callable[..., tuple[RetryWithExponentialBackoff, Plan]]


@pytest.fixture
def make(jobs: JobServer, tmp_path: Path) -> Make:
    def made(run_id: str = "run-0", params: dict[str, Any] | None = None, **fields: Any) -> Any:
        targets = register(tmp_path, jobs.job(**fields))
        strategy = RetryWithExponentialBackoff(targets)
        subject = Subject(incident_id="inc_1", type="network_timeout", run_id=run_id, target=only(targets))
        return strategy, strategy.plan(subject, BackoffParams(**(params or {})))

    return made


def climb(strategy: RetryWithExponentialBackoff, plan: Plan) -> tuple[list[Receipt], Any]:
    """The ladder without its waits: up to the first step that is verified."""
    receipts: list[Receipt] = []
    for step in plan.steps:
        receipts.append(strategy.execute(plan, step, f"key_{step.index}", KEPT))
        looked = strategy.verify(plan, receipts)
        if isinstance(looked, Verified):
            break
    return receipts, looked


class TestPlan:
    def test_the_waits_grow_and_are_said(self, make: Make, jobs: JobServer) -> None:
        _, plan = make()
        assert [step.after for step in plan.steps] == [1, 2, 4]
        host = jobs.url.removeprefix("http://")
        assert plan.summary == (
            f"run nightly-load again up to 3 times, until a run succeeds (waiting 1 s, 2 s, 4 s), by {host}"
        )
        assert plan.steps[2].says == "try 3 of 3: after 4 s, run nightly-load again"

    def test_no_wait_is_over_an_hour(self, make: Make) -> None:
        _, plan = make(params={"tries": 4, "first_delay": 300, "multiplier": 10})
        assert [step.after for step in plan.steps] == [300, 3000, 3600, 3600]

    @pytest.mark.parametrize("run_id", ["", "../../admin"])
    def test_a_run_that_cannot_be_named(self, make: Make, jobs: JobServer, run_id: str) -> None:
        _, plan = make(run_id=run_id, run=f"{jobs.url}/runs/{{run_id}}")
        assert isinstance(plan, NotApplicable)
        assert isinstance(make(run_id=run_id)[1], Plan)


class TestTheLadder:
    def test_it_ends_with_the_first_run_that_succeeds(self, make: Make, jobs: JobServer) -> None:
        jobs.fail = 1
        receipts, looked = climb(*make())
        assert looked == Verified(says="run run-2 succeeded")
        assert (len(receipts), jobs.acted) == (2, 2)

    def test_no_run_succeeds(self, make: Make, jobs: JobServer) -> None:
        jobs.fail = 3
        strategy, plan = make()
        receipts, looked = climb(strategy, plan)
        assert looked == Disproved(says="no run succeeded")
        assert isinstance(strategy.rollback(plan, KEPT, receipts), Undone)
        assert jobs.acted == 3

    def test_a_system_that_refuses_for_now_costs_a_try(self, make: Make, jobs: JobServer) -> None:
        jobs.refuse = 2
        receipts, looked = climb(*make())
        assert isinstance(looked, Verified)
        assert [receipt.data["status"] for receipt in receipts] == ["failed", "failed", "running"]
        assert jobs.acted == 1

    def test_the_answer_itself_may_be_the_result(self, make: Make, jobs: JobServer) -> None:
        jobs.replies = [(500, {}), (204, {})]
        receipts, looked = climb(*make(status=None, lookup=None))
        assert (len(receipts), looked) == (2, Verified(says="try 2 succeeded"))

    def test_a_run_that_is_under_way_is_waited_for(self, make: Make, jobs: JobServer) -> None:
        jobs.status = "running"
        strategy, plan = make()
        receipts = [strategy.execute(plan, plan.steps[0], "k", KEPT)]
        assert strategy.verify(plan, receipts) == Pending(says="run run-1 is under way")
        jobs.status = "succeeded"
        assert isinstance(strategy.verify(plan, receipts), Verified)

    def test_an_earlier_run_that_succeeds_late_counts(self, make: Make, jobs: JobServer) -> None:
        jobs.status = "running"
        strategy, plan = make()
        receipts = [strategy.execute(plan, step, step.says, KEPT) for step in plan.steps[:2]]
        jobs.runs[plan.steps[1].says]["status"] = "failed"
        assert isinstance(strategy.verify(plan, receipts), Pending)
        jobs.status = "succeeded"
        assert strategy.verify(plan, receipts) == Verified(says="run run-1 succeeded")


class TestExecute:
    def test_it_waits_as_long_as_it_is_told(self, make: Make, jobs: JobServer) -> None:
        jobs.replies = [(429, {"Retry-After": "30"})]
        strategy, plan = make()
        with pytest.raises(RetryLater) as error:
            strategy.execute(plan, plan.steps[0], "k", KEPT)
        assert error.value.after == timedelta(seconds=30)
        assert jobs.acted == 0

    @pytest.mark.parametrize("code", [401, 404, 422])
    def test_a_refusal_for_good_needs_a_person(self, make: Make, jobs: JobServer, code: int) -> None:
        jobs.replies = [(code, {})]
        strategy, plan = make()
        with pytest.raises(NeedsHuman, match=str(code)):
            strategy.execute(plan, plan.steps[0], "k", KEPT)

    def test_after_silence_it_looks_what_became_of_it(self, make: Make, jobs: JobServer) -> None:
        jobs.silent = 1
        strategy, plan = make(idempotent=False)
        receipt = strategy.execute(plan, plan.steps[0], "k", KEPT)
        assert receipt.says == "try 1 began run run-1, though the answer was lost"
        assert (jobs.acted, jobs.asked["k"]) == (1, 1)

    def test_after_silence_it_asks_again_where_that_is_safe(self, make: Make, jobs: JobServer) -> None:
        jobs.silent = 1
        strategy, plan = make(lookup=None)
        with pytest.raises(RetryLater):
            strategy.execute(plan, plan.steps[0], "k", KEPT)
        assert strategy.execute(plan, plan.steps[0], "k", KEPT).data["id"] == "run-1"
        assert jobs.acted == 1

    def test_after_silence_a_person_looks_where_it_is_not(self, make: Make, jobs: JobServer) -> None:
        jobs.silent = 1
        strategy, plan = make(lookup=None, idempotent=False)
        with pytest.raises(NeedsHuman, match="could run it twice"):
            strategy.execute(plan, plan.steps[0], "k", KEPT)
        assert jobs.asked["k"] == 1

    def test_a_run_without_a_name_is_looked_up(self, make: Make, jobs: JobServer) -> None:
        jobs.nameless = True
        strategy, plan = make()
        assert strategy.execute(plan, plan.steps[0], "k", KEPT).data["id"] == "run-1"
        strategy, plan = make(lookup=None)
        with pytest.raises(NeedsHuman, match="does not name it"):
            strategy.execute(plan, plan.steps[0], "k2", KEPT)


class TestRecall:
    def test_where_the_far_side_acts_once_asking_again_is_safe(self, make: Make, jobs: JobServer) -> None:
        strategy, plan = make(lookup=None)
        assert strategy.recall(plan, plan.steps[0], "k", KEPT) == NotDone()

    def test_where_nothing_can_be_known_it_says_so(self, make: Make, jobs: JobServer) -> None:
        strategy, plan = make(lookup=None, idempotent=False)
        assert isinstance(strategy.recall(plan, plan.steps[0], "k", KEPT), Unclear)

    @pytest.mark.parametrize(
        ("status", "kind"), [("succeeded", Receipt), ("running", Receipt), ("failed", Unclear)]
    )
    def test_the_signal_itself_may_tell(self, make: Make, jobs: JobServer, status: str, kind: type) -> None:
        jobs.runs["former"] = {"id": "run-0", "status": status}
        strategy, plan = make(lookup=None, idempotent=False, status=f"{jobs.url}/runs/{{run_id}}")
        recalled = strategy.recall(plan, plan.steps[0], "k", KEPT)
        assert isinstance(recalled, kind)
        if isinstance(recalled, Receipt):
            known = {"succeeded": Verified, "running": Pending}[status]
            assert isinstance(strategy.verify(plan, [recalled]), known)

    def test_nobody_answers(self, make: Make, jobs: JobServer) -> None:
        strategy, plan = make(lookup="http://127.0.0.1:1/")
        assert isinstance(strategy.recall(plan, plan.steps[0], "k", KEPT), Unclear)
