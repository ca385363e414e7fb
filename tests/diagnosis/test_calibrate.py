import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.diagnosis.calibrate import Calibration, calibrate, features
from app.diagnosis.diagnosis import Evidence, EvidenceKind, Finding

WEIGHTS = st.floats(-50, 50)
CALIBRATIONS = st.builds(
    Calibration, intercept=WEIGHTS, slope=st.floats(0, 50), agreement=WEIGHTS, nearness=WEIGHTS
)


def finding(scorer: str, nearness: float | None = None, contributes: bool = True, **scores: float) -> Finding:
    evidence = (
        [] if nearness is None else [Evidence(kind=EvidenceKind.CASE, ref="c", quote="", weight=nearness)]
    )
    return Finding(scorer=scorer, scores=scores, contributes=contributes, hint="", evidence=tuple(evidence))


class TestCalibrate:
    @given(calibration=CALIBRATIONS, p=st.floats(0, 1), nearness=st.floats(-1, 1))
    def test_it_is_a_probability(self, calibration: Calibration, p: float, nearness: float) -> None:
        found = calibrate(calibration, {"a": p, "b": 1 - p}, [finding("nearest_cases@1", nearness, a=p)])
        assert 0 <= found <= 1

    @given(calibration=CALIBRATIONS, p=st.floats(0.5, 1), q=st.floats(0.5, 1))
    def test_a_higher_score_is_never_less_sure(self, calibration: Calibration, p: float, q: float) -> None:
        low, high = sorted((p, q))
        voices = [finding("x", a=0.9)]
        of = [calibrate(calibration, {"a": score, "b": 1 - score}, voices) for score in (low, high)]
        assert of[0] <= of[1]

    @pytest.mark.parametrize("p", [0.5, 0.7, 0.9, 0.99])
    def test_the_plain_one_gives_the_score_back(self, p: float) -> None:
        assert calibrate(Calibration(), {"a": p, "b": 1 - p}, []) == pytest.approx(p)

    def test_the_sum_by_hand(self) -> None:
        calibration = Calibration(intercept=0.5, slope=2, agreement=1, nearness=-1)
        voices = [finding("x", a=0.8), finding("nearest_cases@1", 0.6, b=0.7)]
        z = 0.5 + 2 * math.log(0.8 / 0.2) + 1 * 0.5 - 1 * 0.6
        assert calibrate(calibration, {"a": 0.8, "b": 0.2}, voices) == pytest.approx(1 / (1 + math.exp(-z)))


class TestFeatures:
    def test_a_score_of_one_is_no_infinity(self) -> None:
        assert features({"a": 1.0, "b": 0.0}, [])[0] == pytest.approx(math.log(0.9999 / 0.0001))

    def test_agreement_is_among_those_that_contribute(self) -> None:
        voices = [
            finding("x", a=0.9, b=0.1),
            finding("y", b=0.9),
            finding("z", contributes=False, b=0.9),
            finding("w"),
        ]
        assert features({"a": 0.6, "b": 0.4}, voices)[1] == 0.5
        assert features({"a": 0.6, "b": 0.4}, [])[1] == 0

    def test_nearness_is_of_the_nearest_case(self) -> None:
        near = finding("nearest_cases@1", 0.7, a=1.0)
        assert features({"a": 1.0}, [near, finding("runbook_sections@1", 0.9, a=1.0)])[2] == 0.7
        assert features({"a": 1.0}, [finding("nearest_cases@1", -0.2, a=1.0)])[2] == 0
        assert features({"a": 1.0}, [])[2] == 0
