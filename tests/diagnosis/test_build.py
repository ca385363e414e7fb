"""Fitted by hand where `fit` is only told of a few cases."""

from collections.abc import Sequence

import pytest

from app.diagnosis.build import build, embedded
from app.diagnosis.diagnose import Diagnose
from app.diagnosis.diagnosis import Symptom
from app.foundation.clock import FrozenClock
from app.knowledge.case import Case
from app.knowledge.embed import HashingEmbedder
from tests.diagnosis import small
from tests.situations import NOW


def brain(cases: Sequence[Case]) -> Diagnose:
    """A brain of these cases alone."""
    embedder = HashingEmbedder()
    vectors = embedder.embed(embedded(cases))
    return build(cases, vectors, (), embedder, small.taxonomy(), small.REGISTERED, dict, FrozenClock(NOW))[0]


class TestFewCases:
    def test_two_types_are_enough(self) -> None:
        cases = [case for case in small.cases() if case.type in ("network_timeout", "quota_exceeded")][:20]
        found = brain(cases).diagnose(Symptom(message=cases[0].text))
        assert found.type == cases[0].type
        assert {one.type for one in found.ranked} == {"network_timeout", "quota_exceeded"}

    @pytest.mark.parametrize("count", [2, 14, 59])
    def test_too_few_for_folds_are_weighed_evenly(self, count: int) -> None:
        cases = sorted(small.cases(), key=lambda case: case.id[-2:])[:count]
        fitted = brain(cases).fitted
        assert len(set(fitted.weights.values())) == 1
        assert fitted.calibration.rows == 0
