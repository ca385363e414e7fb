"""Cooldown: what was tried on the same target lately."""

from datetime import timedelta

import pytest

from app.decision.decision import Allows, Attempt
from app.decision.gates import breaker, cap, cooldown, repeated
from app.decision.gates.cooldown import Cooldown
from app.diagnosis.choose import ESCALATE
from app.remediation.outcome import Ended
from app.remediation.store import _TRIALS
from tests.situations import NOW, attempt, escalation, situation

GATE = Cooldown(Cooldown.Params())
WINDOW = Cooldown.Params().window


class TestRecentlyTried:
    @pytest.mark.parametrize(
        ("attempts", "allows"),
        [
            ((), Allows.ALLOW),
            ((attempt(5),), Allows.ALLOW),
            ((attempt(5), attempt(10)), Allows.BLOCK),
            ((attempt(5), attempt(29.99)), Allows.BLOCK),
            ((attempt(5), attempt(30)), Allows.ALLOW),
            ((attempt(5), attempt(10, strategy="recover_service")), Allows.BLOCK),
            ((attempt(5), attempt(10, strategy="recover_service", ended="undone")), Allows.BLOCK),
            ((attempt(5), attempt(10, target="shop/job/other")), Allows.ALLOW),
            ((attempt(5), attempt(10, target="")), Allows.ALLOW),
            ((attempt(5), attempt(10, ended="stopped")), Allows.ALLOW),
            ((attempt(5), attempt(10, strategy=ESCALATE)), Allows.ALLOW),
            ((attempt(5), attempt(10, ended=None)), Allows.BLOCK),
            ((attempt(-5), attempt(-10)), Allows.BLOCK),
        ],
    )
    def test_two_tries_of_any_kind_on_this_target_within_the_window_hold(
        self, attempts: tuple[Attempt, ...], allows: Allows
    ) -> None:
        assert GATE.check(situation(attempts=attempts), NOW).allows is allows

    def test_it_says_when_the_hold_ends_and_then_it_does(self) -> None:
        held = situation(attempts=(attempt(1), attempt(20), attempt(10)))
        verdict = GATE.check(held, NOW)
        assert verdict.reason == Cooldown.Reason.RECENTLY_TRIED
        assert verdict.until == NOW - timedelta(minutes=10) + WINDOW
        assert GATE.check(held, verdict.until - timedelta(microseconds=1)).allows is Allows.BLOCK
        assert GATE.check(held, verdict.until).allows is Allows.ALLOW

    def test_one_under_way_is_no_reason_by_itself(self) -> None:
        assert GATE.check(situation(attempts=(attempt(1, ended=None),)), NOW).allows is Allows.ALLOW


class TestPeople:
    def test_an_approval_does_not_shorten_it(self) -> None:
        held = situation(attempts=(attempt(1), attempt(2)), approved_by="ada")
        assert GATE.check(held, NOW).allows is Allows.BLOCK

    def test_telling_a_person_is_never_held_back(self) -> None:
        before = tuple(attempt(n, target="", strategy=ESCALATE, ended="undone") for n in range(1, 9))
        assert GATE.check(situation(plan=escalation(), attempts=before), NOW).allows is Allows.ALLOW


def test_the_words_for_ends_are_those_of_remediation() -> None:
    assert {cooldown._NOTHING_DONE, repeated._NOTHING_DONE, cap._NOTHING_DONE} == {Ended.STOPPED}
    assert {breaker._HELPED, *breaker._FAILED} == {end.value for end in _TRIALS}
