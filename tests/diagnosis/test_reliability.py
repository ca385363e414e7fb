"""Figures and points against values computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.diagnosis.reliability import calibration_error, coverage, reliability


class TestCoverage:
    @pytest.mark.parametrize(
        ("confidences", "right", "risk", "expected"),
        [
            # The two surest are right, then one of three is wrong.
            ((0.9, 0.8, 0.7, 0.6), (True, True, False, True), 0.0, 2 / 4),
            ((0.9, 0.8, 0.7, 0.6), (True, True, False, True), 0.25, 4 / 4),
            ((0.9, 0.8, 0.7, 0.6), (True, True, False, True), 0.24, 2 / 4),
            ((0.9, 0.8), (False, True), 0.0, 0.0),
            ((0.9, 0.8), (False, True), 0.5, 1.0),
            ((0.6, 0.9), (False, True), 0.0, 0.5),
            # Equally sure ones cannot be told apart: all of them or none.
            ((0.9, 0.9, 0.9), (True, True, False), 0.0, 0.0),
            ((0.9, 0.5, 0.5), (True, True, False), 0.2, 1 / 3),
            ((0.9, 0.5, 0.5), (True, True, True), 0.0, 1.0),
        ],
    )
    def test_by_hand(
        self, confidences: tuple[float, ...], right: tuple[bool, ...], risk: float, expected: float
    ) -> None:
        assert coverage(confidences, right, risk) == pytest.approx(expected)

    @given(pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), risk=st.floats(0, 1))
    def test_it_is_a_share_that_grows_with_the_risk(
        self, pairs: list[tuple[float, bool]], risk: float
    ) -> None:
        confidences, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        found = coverage(confidences, right, risk)
        assert 0 <= found <= coverage(confidences, right, 1.0) == 1

    def test_of_fifty_one_may_be_wrong_at_two_percent(self) -> None:
        confidences = [1 - n / 100 for n in range(60)]
        assert coverage(confidences, [n != 10 for n in range(60)], 0.02) == 1.0
        assert coverage(confidences, [n not in (10, 55) for n in range(60)], 0.02) == pytest.approx(55 / 60)


class TestCalibrationError:
    @pytest.mark.parametrize(
        ("confidences", "right", "expected"),
        [
            ((1.0, 1.0), (True, True), 0.0),
            ((1.0, 1.0), (False, False), 1.0),
            # One bin (0.8 to 0.867): 0.82 on average, half of them right.
            ((0.81, 0.83), (True, False), 0.32),
            # Two bins, weighted by their rows: (2/3)|0.82 - 0.5| + (1/3)|0.1 - 0|.
            ((0.81, 0.83, 0.1), (True, False, False), 2 / 3 * 0.32 + 1 / 3 * 0.1),
            ((0.0,), (False,), 0.0),
        ],
    )
    def test_by_hand(self, confidences: tuple[float, ...], right: tuple[bool, ...], expected: float) -> None:
        assert calibration_error(confidences, right) == pytest.approx(expected)

    @given(pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
    def test_it_lies_between_none_and_all(self, pairs: list[tuple[float, bool]]) -> None:
        assert 0 <= calibration_error([p for p, _ in pairs], [r for _, r in pairs]) <= 1 + 1e-9


class TestReliability:
    def test_nothing_gives_nothing(self) -> None:
        assert reliability([], []) is None

    def test_the_points_to_plot(self) -> None:
        found = reliability([0.95, 0.94, 0.51, 0.51], [True, False, True, False])
        assert found is not None
        assert (found.n, found.accuracy) == (4, 0.5)
        assert [(one.low, one.high, one.n, one.confidence, one.accuracy) for one in found.bins] == [
            (0.4667, 0.5333, 2, 0.51, 0.5),
            (0.9333, 1.0, 2, 0.945, 0.5),
        ]
        # Equally sure ones are one point.
        assert [(one.coverage, one.risk, one.confidence) for one in found.curve] == [
            (0.25, 0.0, 0.95),
            (0.5, 0.5, 0.94),
            (1.0, 0.5, 0.51),
        ]

    @given(pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=400))
    def test_the_plots_hold_every_answer(self, pairs: list[tuple[float, bool]]) -> None:
        found = reliability([p for p, _ in pairs], [r for _, r in pairs])
        assert found is not None
        assert sum(one.n for one in found.bins) == found.n == len(pairs)
        assert found.curve[-1].coverage == 1
        assert len(found.curve) <= 201
        steps = [one.coverage for one in found.curve]
        assert steps == sorted(set(steps))
