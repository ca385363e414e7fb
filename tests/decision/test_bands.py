"""Bands: how sure the diagnosis must be."""

import pytest
from pydantic import ValidationError

from app.decision.decision import Allows
from app.decision.gates.bands import Bands
from app.diagnosis.diagnosis import UNKNOWN
from tests.situations import NOW, escalation, situation

BANDS = Bands(Bands.Params())


class TestCheck:
    @pytest.mark.parametrize(
        ("confidence", "allows", "reason"),
        [
            (1.0, Allows.ALLOW, Bands.Reason.SURE),
            (0.75, Allows.ALLOW, Bands.Reason.SURE),
            (0.7499, Allows.ASK, Bands.Reason.LIKELY),
            (0.5, Allows.ASK, Bands.Reason.LIKELY),
            (0.4999, Allows.BLOCK, Bands.Reason.GUESS),
            (0.0, Allows.BLOCK, Bands.Reason.GUESS),
        ],
    )
    def test_each_band_begins_at_its_threshold(
        self, confidence: float, allows: Allows, reason: Bands.Reason
    ) -> None:
        verdict = BANDS.check(situation(confidence=confidence), NOW)
        assert (verdict.allows, verdict.reason) == (allows, reason)
        assert f"{confidence:g}" in verdict.says

    def test_an_unknown_error_is_blocked_however_sure(self) -> None:
        verdict = BANDS.check(situation(type=UNKNOWN, confidence=1.0), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Bands.Reason.UNKNOWN)

    @pytest.mark.parametrize("case", [{"confidence": 0.6}, {"confidence": 0.1}, {"type": UNKNOWN}])
    def test_an_approval_overrides_every_band_and_names_the_approver(self, case: dict[str, object]) -> None:
        verdict = BANDS.check(situation(approved_by="ada", **case), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.ALLOW, Bands.Reason.APPROVED)
        assert "ada" in verdict.says

    def test_telling_a_person_needs_no_confidence(self) -> None:
        verdict = BANDS.check(situation(plan=escalation(), type=UNKNOWN, confidence=0.0), NOW)
        assert verdict.allows is Allows.ALLOW

    def test_a_site_may_move_the_thresholds(self) -> None:
        strict = Bands(Bands.Params(act=0.95, ask=0.9))
        assert strict.check(situation(confidence=0.94), NOW).allows is Allows.ASK
        assert strict.check(situation(confidence=0.89), NOW).allows is Allows.BLOCK


class TestParams:
    def test_asking_above_acting_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="ask lies above act"):
            Bands.Params(act=0.5, ask=0.6)

    @pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan")])
    def test_a_threshold_is_a_probability(self, wrong: float) -> None:
        with pytest.raises(ValidationError):
            Bands.Params(act=wrong)
