"""The bound against published values, and the promise against simulation-free arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decision.guarantee import Judged, clean_needed, guarantee, lowest_threshold, upper_bound


def judged(right: int, wrong: int, confidence: float = 0.9) -> list[Judged]:
    return [Judged(confidence=confidence, right=n < right) for n in range(right + wrong)]


class TestUpperBound:
    @pytest.mark.parametrize(
        ("wrong", "outcomes", "level", "expected"),
        [
            # With none wrong it is 1 - (1 - level) ** (1 / n); the rule of three is its estimate.
            (0, 1, 0.95, 0.95),
            (0, 59, 0.95, 0.0495),
            (0, 58, 0.95, 0.0503),
            (0, 100, 0.95, 0.0295),
            # One-sided 95 % is the upper end of the two-sided 90 % interval.
            (1, 10, 0.95, 0.3942),
            (5, 10, 0.95, 0.7776),
            (10, 10, 0.95, 1.0),
            (0, 0, 0.95, 1.0),
        ],
    )
    def test_known_values(self, wrong: int, outcomes: int, level: float, expected: float) -> None:
        assert upper_bound(wrong, outcomes, level) == pytest.approx(expected, abs=1e-4)

    @given(st.integers(0, 50), st.integers(1, 200))
    def test_it_lies_above_the_rate_and_grows_with_the_level(self, wrong: int, more: int) -> None:
        outcomes = wrong + more
        assert wrong / outcomes < upper_bound(wrong, outcomes, 0.9) < upper_bound(wrong, outcomes, 0.99) <= 1


class TestCleanNeeded:
    @pytest.mark.parametrize(
        ("wrong", "outcomes", "expected"), [(0, 0, 59), (0, 58, 1), (0, 59, 0), (1, 1, 92), (1, 93, 0)]
    )
    def test_known_values(self, wrong: int, outcomes: int, expected: int) -> None:
        assert clean_needed(wrong, outcomes, 0.05, 0.95) == expected

    @given(st.integers(0, 10), st.integers(0, 60), st.sampled_from([0.01, 0.05, 0.2]))
    def test_it_is_just_enough(self, wrong: int, right: int, promise: float) -> None:
        outcomes = wrong + right
        more = clean_needed(wrong, outcomes, promise, 0.95)
        assert upper_bound(wrong, outcomes + more, 0.95) <= promise
        assert more == 0 or upper_bound(wrong, outcomes + more - 1, 0.95) > promise

    def test_what_would_take_for_ever_ends(self) -> None:
        found = guarantee(judged(0, 3), 0.75, 1e-9, 0.95)
        assert "no number" in found.says


class TestLowestThreshold:
    def test_none_without_outcomes(self) -> None:
        assert lowest_threshold([], 0.05, 0.95) is None
        assert lowest_threshold(judged(58, 0), 0.05, 0.95) is None

    def test_as_low_as_the_outcomes_reach(self) -> None:
        # Below the least sure outcome nothing changes, so the bound holds down to zero.
        assert lowest_threshold(judged(59, 0), 0.05, 0.95) == 0

    def test_it_stops_at_the_first_that_fails(self) -> None:
        seen = [*judged(100, 0, 0.95), *judged(0, 5, 0.72), *judged(2000, 0, 0.31)]
        assert lowest_threshold(seen, 0.05, 0.95) == 0.75
        # 2,000 clean ones below would make the whole look fine; they were never tested.
        assert upper_bound(5, 2105, 0.95) < 0.05


class TestGuarantee:
    def test_only_what_is_as_sure_as_the_threshold_counts(self) -> None:
        found = guarantee([*judged(59, 0, 0.9), *judged(0, 9, 0.6)], 0.75, 0.05, 0.95)
        assert (found.outcomes, found.wrong, found.bound) == (59, 0, 0.0495)
        assert found.holds
        assert found.says == "at most 5.0% of its actions are wrong, at 95% confidence"

    def test_it_says_what_is_missing(self) -> None:
        assert (
            guarantee([], 0.75, 0.05, 0.95).says
            == "59 more clean outcomes until it may run alone (at most 5% wrong is then proven)"
        )
        assert guarantee(judged(58, 0), 0.75, 0.05, 0.95).says.startswith("1 more clean outcome until")
