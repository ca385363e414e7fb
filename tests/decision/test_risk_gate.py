"""The risk gate: how much harm a plan may do without a person."""

import pytest

from app.decision import plan
from app.decision.decision import Allows
from app.decision.gates.risk import Risk
from tests.situations import NOW, escalation, situation

RISK = Risk(Risk.Params())
NONE, LOW, MEDIUM, HIGH = plan.Risk


class TestCheck:
    @pytest.mark.parametrize(
        ("risk", "undo", "allows"),
        [
            (NONE, "revert", Allows.ALLOW),
            (LOW, "revert", Allows.ALLOW),
            (MEDIUM, "revert", Allows.ALLOW),
            (HIGH, "revert", Allows.ASK),
            (NONE, None, Allows.ALLOW),
            (LOW, None, Allows.ALLOW),
            (MEDIUM, None, Allows.ASK),
            (HIGH, None, Allows.ASK),
        ],
    )
    def test_high_risk_asks_and_what_cannot_be_undone_counts_one_higher(
        self, risk: plan.Risk, undo: str | None, allows: Allows
    ) -> None:
        verdict = RISK.check(situation(risk=risk, undo=undo), NOW)
        assert verdict.allows is allows
        assert ("cannot be undone" in verdict.says) == (undo is None and risk in (LOW, MEDIUM))

    @pytest.mark.parametrize("confidence", [0.0, 1.0])
    def test_high_risk_asks_whatever_the_confidence(self, confidence: float) -> None:
        assert RISK.check(situation(risk=HIGH, confidence=confidence), NOW).allows is Allows.ASK

    def test_an_approval_lets_high_risk_pass_and_names_the_approver(self) -> None:
        verdict = RISK.check(situation(risk=HIGH, approved_by="ada"), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.ALLOW, Risk.Reason.APPROVED)
        assert "ada" in verdict.says

    def test_telling_a_person_risks_nothing(self) -> None:
        assert RISK.check(situation(plan=escalation(risk=HIGH, undo=None)), NOW).allows is Allows.ALLOW

    def test_a_site_may_ask_from_medium_on(self) -> None:
        careful = Risk(Risk.Params(ask_from=MEDIUM))
        assert careful.check(situation(risk=MEDIUM), NOW).allows is Allows.ASK
        assert careful.check(situation(risk=LOW, undo=None), NOW).allows is Allows.ASK
        assert careful.check(situation(risk=LOW), NOW).allows is Allows.ALLOW
