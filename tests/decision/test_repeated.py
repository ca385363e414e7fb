"""Repeated: a loop ends at the second turn, whatever the events say."""

from datetime import timedelta
from typing import Any

import pytest

from app.decision.decision import Allows, Attempt
from app.decision.gates.repeated import Repeated
from app.diagnosis.choose import ESCALATE
from tests.situations import NOW, TARGET, attempt, escalation, situation

GATE = Repeated(Repeated.Params())


class TestAgain:
    @pytest.mark.parametrize("ended", ["verified", "undone", "stuck", "handed_over"])
    def test_the_second_time_is_held_however_the_first_ended(self, ended: str) -> None:
        verdict = GATE.check(situation(attempts=(attempt(90, ended=ended),)), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Repeated.Reason.AGAIN)
        assert f"10:30 ({ended}) UTC: the same repair again" in verdict.says
        assert verdict.until == NOW + timedelta(hours=4.5)

    def test_another_incident_with_another_text_and_type_is_no_way_around_it(self) -> None:
        other = situation(attempts=(attempt(90),), type="service_unavailable", source="jenkins")
        assert GATE.check(other, NOW).allows is Allows.BLOCK

    @pytest.mark.parametrize(
        "before",
        [
            attempt(90, strategy="recover_service"),
            attempt(360),
            attempt(90, ended="stopped"),
            attempt(90, ended=None),
        ],
    )
    def test_another_repair_long_ago_never_started_or_under_way_is_no_repeat(self, before: Attempt) -> None:
        assert GATE.check(situation(attempts=(before,)), NOW).allows is Allows.ALLOW

    @pytest.mark.parametrize(
        "other",
        [
            {"name": "nightly-load-2"},
            {"name": "Nightly-Load"},
            {"name": "nightly"},
            {"environment": "production"},
            {"environment": ""},
            {"system": "shop2"},
            {"kind": "task"},
        ],
    )
    def test_a_target_that_is_called_alike_is_another(self, other: dict[str, Any]) -> None:
        tried = attempt(5, target=TARGET.model_copy(update=other).key)
        assert GATE.check(situation(attempts=(tried, tried)), NOW).allows is Allows.ALLOW

    def test_a_clock_that_jumped_back_hides_nothing(self) -> None:
        assert GATE.check(situation(attempts=(attempt(-600),)), NOW).allows is Allows.BLOCK


class TestChain:
    def test_two_different_repairs_that_did_not_hold_are_enough(self) -> None:
        tried = (
            attempt(60, strategy="recover_service"),
            attempt(20, strategy="rollback_model", ended="undone"),
        )
        assert GATE.check(situation(attempts=tried[:1]), NOW).allows is Allows.ALLOW
        verdict = GATE.check(situation(attempts=tried), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Repeated.Reason.CHAIN)
        assert "2 repairs of shop/job/nightly-load@staging (recover_service, rollback_model)" in verdict.says
        assert verdict.until == NOW + timedelta(hours=5)


def test_an_approval_does_not_pass_it() -> None:
    assert GATE.check(situation(attempts=(attempt(5),), approved_by="ada"), NOW).allows is Allows.BLOCK


def test_telling_a_person_may_be_repeated() -> None:
    told = tuple(attempt(n, strategy=ESCALATE, target="") for n in range(5))
    assert GATE.check(situation(plan=escalation(), attempts=told), NOW).allows is Allows.ALLOW
