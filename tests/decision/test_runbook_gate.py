"""Runbook: its front matter says who must approve."""

from typing import Any

import pytest

from app.decision.decision import Allows, Situation
from app.decision.gates.runbook import Runbook
from app.diagnosis.choose import ESCALATE
from tests import situations
from tests.situations import NOW, RETRY

GATE = Runbook(Runbook.Params())
TOLD = situations.diagnosis().choices[-1]


def seen(people: int, ref: str = "slow-warehouse#fix", **fields: Any) -> Situation:
    chosen = situations.diagnosis().choices[0].model_copy(update={"people": people, "runbook": ref})
    return situations.situation(
        diagnosis=situations.diagnosis(choices=(chosen, TOLD.model_copy(update={"strategy": ESCALATE}))),
        **fields,
    )


def test_one_that_asks_nobody_holds_nothing() -> None:
    assert seen(0).plan.strategy == RETRY
    assert GATE.check(seen(0), NOW).allows is Allows.ALLOW


def test_a_strategy_that_no_runbook_recommended_is_not_its_matter() -> None:
    assert GATE.check(seen(2, ref=""), NOW).reason == Runbook.Reason.NONE


@pytest.mark.parametrize("people", [1, 2])
def test_it_asks_as_many_as_it_says(people: int) -> None:
    verdict = GATE.check(seen(people), NOW)
    assert (verdict.allows, verdict.people) == (Allows.ASK, people)
    assert "slow-warehouse" in verdict.says


@pytest.mark.parametrize(
    ("people", "approvers", "allows"),
    [(1, 1, Allows.ALLOW), (2, 1, Allows.ASK), (2, 2, Allows.ALLOW)],
)
def test_and_lets_pass_what_so_many_approved(people: int, approvers: int, allows: Allows) -> None:
    assert GATE.check(seen(people, approved_by="ada", approvers=approvers), NOW).allows is allows
