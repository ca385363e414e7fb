"""Cap: how much may be begun per hour."""

from datetime import timedelta

from app.decision.decision import Allows, Attempt
from app.decision.gates.cap import Cap
from app.diagnosis.choose import ESCALATE
from app.remediation.outcome import Ended
from tests.situations import NOW, attempt, escalation, situation

GATE = Cap(Cap.Params(per_strategy=3, per_target=2, per_site=5))


def begun(*minutes_ago: float, strategy: str = "") -> tuple[Attempt, ...]:
    more = {"strategy": strategy} if strategy else {}
    return tuple(attempt(ago, target=f"shop/job/{nth}", **more) for nth, ago in enumerate(minutes_ago))


class TestPerStrategy:
    def test_one_below_the_cap_passes_and_the_cap_holds(self) -> None:
        assert GATE.check(situation(attempts=begun(1, 2)), NOW).allows is Allows.ALLOW
        verdict = GATE.check(situation(attempts=begun(1, 2, 3)), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Cap.Reason.STRATEGY)

    def test_an_hour_ago_is_over_and_a_moment_less_is_not(self) -> None:
        assert GATE.check(situation(attempts=begun(1, 2, 60)), NOW).allows is Allows.ALLOW
        assert GATE.check(situation(attempts=begun(1, 2, 59.99)), NOW).allows is Allows.BLOCK

    def test_it_says_when_there_is_room_again_and_then_there_is(self) -> None:
        full = situation(attempts=begun(5, 50, 40, 30))
        until = GATE.check(full, NOW).until
        assert until == NOW + timedelta(minutes=20)
        assert GATE.check(full, until - timedelta(microseconds=1)).allows is Allows.BLOCK
        assert GATE.check(full, until).allows is Allows.ALLOW


class TestPerTarget:
    def test_repairs_of_any_kind_count_and_those_of_a_name_alike_do_not(self) -> None:
        key = situation().plan.target
        kinds = ("recover_service", "rollback_model")
        tries = tuple(attempt(nth + 1, strategy=kind) for nth, kind in enumerate(kinds))
        others = [
            f"{key}-2",
            key.upper(),
            key.removesuffix("@staging"),
            key.replace("staging", "production"),
            "",
        ]
        near = tuple(
            attempt(nth, target=other, strategy="recover_service") for nth, other in enumerate(others[:4])
        )
        assert GATE.check(situation(attempts=(tries[0], *near[:3])), NOW).allows is Allows.ALLOW
        verdict = GATE.check(situation(attempts=tries), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Cap.Reason.TARGET)
        assert verdict.until == NOW + timedelta(minutes=58)


class TestPerSite:
    def test_all_strategies_count_together(self) -> None:
        others = begun(1, 2, 3, 4, strategy="recover_service")
        assert GATE.check(situation(attempts=others), NOW).allows is Allows.ALLOW
        verdict = GATE.check(situation(attempts=(*others, *begun(10))), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Cap.Reason.SITE)
        assert verdict.until == NOW + timedelta(minutes=50)

    def test_of_two_reasons_the_one_that_lasts_longer_is_told(self) -> None:
        both = (*begun(1, 2, 3), *begun(50, 55, strategy="recover_service"))
        assert GATE.check(situation(attempts=both), NOW).reason == Cap.Reason.STRATEGY


class TestPeople:
    def test_an_approval_makes_no_room(self) -> None:
        assert GATE.check(situation(attempts=begun(1, 2, 3), approved_by="ada"), NOW).allows is Allows.BLOCK

    def test_telling_a_person_is_neither_held_back_nor_counted(self) -> None:
        full = begun(1, 2, 3, 4, 5)
        assert GATE.check(situation(plan=escalation(), attempts=full), NOW).allows is Allows.ALLOW
        told = begun(1, 2, 3, 4, 5, 6, strategy=ESCALATE)
        assert GATE.check(situation(attempts=told), NOW).allows is Allows.ALLOW


def test_what_never_started_does_not_count() -> None:
    stopped = tuple(attempt(nth, ended=Ended.STOPPED.value) for nth in range(9))
    assert GATE.check(situation(attempts=stopped), NOW).allows is Allows.ALLOW


def test_the_defaults() -> None:
    assert Cap.Params() == Cap.Params(per_strategy=10, per_target=3, per_site=50)
