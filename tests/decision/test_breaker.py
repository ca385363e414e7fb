"""Breaker: a strategy that keeps failing stops, and comes back by a trial."""

from datetime import timedelta

import pytest

from app.decision.decision import Allows, Attempt, Situation
from app.decision.gates.breaker import Breaker
from tests.situations import NOW, RETRY, attempt, situation

GATE = Breaker(Breaker.Params())  # 3 of 5, rests 30 minutes


def trials(ends: str, newest_minutes_ago: float = 5) -> tuple[Attempt, ...]:
    """One a minute: v that helped, u that was undone, s that is stuck, h handed over, x stopped."""
    names = {"v": "verified", "u": "undone", "s": "stuck", "h": "handed_over", "x": "stopped"}
    begins = [newest_minutes_ago + len(ends) - 1 - n for n in range(len(ends))]
    return tuple(
        attempt(ago, ended=names[end], ended_at=NOW - timedelta(minutes=ago), target=f"t{n}")
        for n, (end, ago) in enumerate(zip(ends, begins, strict=True))
    )


def seen(ends: str, newest_minutes_ago: float = 5, **fields: object) -> Situation:
    return situation(trials=trials(ends, newest_minutes_ago), **fields)


@pytest.mark.parametrize(
    ("ends", "allows"),
    [
        ("", Allows.ALLOW),
        ("uu", Allows.ALLOW),
        ("uuu", Allows.BLOCK),
        ("usu", Allows.BLOCK),
        ("uvuvu", Allows.BLOCK),
        ("uvvuvu", Allows.ALLOW),
        ("uuvvvvvvv", Allows.ALLOW),
        ("uhxu", Allows.ALLOW),
        ("uuuhx", Allows.BLOCK),
        ("uuuv", Allows.ALLOW),
        ("uuuvuu", Allows.ALLOW),
        ("uuuvuuu", Allows.BLOCK),
        ("uuuuv", Allows.ALLOW),
    ],
)
def test_three_of_the_last_five_open_it_and_a_trial_that_helps_closes_it(ends: str, allows: Allows) -> None:
    assert GATE.check(seen(ends), NOW).allows is allows


class TestRest:
    def test_it_rests_from_the_last_failure_on_whoever_asks(self) -> None:
        for approver in ("", "ada"):
            verdict = GATE.check(seen("uuu", approved_by=approver), NOW)
            assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Breaker.Reason.OPEN)
            assert verdict.until == NOW + timedelta(minutes=25)

    def test_then_a_person_may_let_it_try(self) -> None:
        rested = seen("uuu", 30)
        assert GATE.check(rested, NOW).reason == Breaker.Reason.HALF_OPEN
        assert GATE.check(rested, NOW).allows is Allows.ASK
        approved = rested.model_copy(update={"approved_by": "ada"})
        assert GATE.check(approved, NOW).allows is Allows.ALLOW
        assert GATE.check(approved, NOW - timedelta(microseconds=1)).allows is Allows.BLOCK

    def test_one_at_a_time(self) -> None:
        trying = (attempt(1, ended=None, target="elsewhere"),)
        verdict = GATE.check(seen("uuu", 30, attempts=trying, approved_by="ada"), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Breaker.Reason.TRIED)

    def test_a_trial_that_fails_begins_the_rest_anew(self) -> None:
        failed = (*trials("uuu", 60), *trials("u", 10))
        verdict = GATE.check(situation(trials=failed, approved_by="ada"), NOW)
        assert (verdict.allows, verdict.until) == (Allows.BLOCK, NOW + timedelta(minutes=20))

    def test_it_does_not_forget_overnight(self) -> None:
        assert GATE.check(seen("uuu", 48 * 60), NOW).allows is Allows.ASK


def test_another_strategy_is_none_of_its_business() -> None:
    others = tuple(a.model_copy(update={"strategy": "recover_service"}) for a in trials("uuu"))
    assert GATE.check(situation(trials=others), NOW).allows is Allows.ALLOW
    assert RETRY in GATE.check(situation(trials=others), NOW).says


def test_more_failures_than_outcomes_are_refused() -> None:
    with pytest.raises(ValueError, match="never open"):
        Breaker.Params(failed=6, of=5)
