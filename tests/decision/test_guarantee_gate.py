"""The guarantee gate: proven, trusted by name, or asked."""

from pathlib import Path
from typing import Any

import pytest

from app.decision.decision import Allows, Situation
from app.decision.gates.guarantee import Guarantee
from app.decision.guarantee import Judged
from app.decision.plan import Risk
from app.decision.policy import FixedPolicy, Policy, PolicyFile, Trust, read_policy
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from tests.situations import NOW, PROVEN, RETRY, situation

TAXONOMY = read_taxonomy(knowledge_folder() / "taxonomy.yaml")


def gate(*trust: Trust) -> Guarantee:
    return Guarantee(Guarantee.Params(), FixedPolicy(Policy(rules=(), trust=trust)))


def trust(**when: Any) -> Trust:
    return Trust.model_validate({"name": "known", "when": when, "because": "it never hurt"})


def seen(right: int, wrong: int = 0, confidence: float = 0.9, **fields: Any) -> Situation:
    judged = [Judged(confidence=confidence, right=n < right) for n in range(right + wrong)]
    return situation(judged=tuple(judged), **fields)


class TestProven:
    def test_the_outcome_that_completes_the_proof_lets_it_run_alone(self) -> None:
        before = gate().check(seen(58), NOW)
        assert (before.allows, before.reason) == (Allows.ASK, Guarantee.Reason.UNPROVEN)
        assert before.says.startswith(f"{RETRY}: 1 more clean outcome until it may run alone")
        assert gate().check(seen(59), NOW).allows is Allows.ALLOW

    def test_one_wrong_action_takes_it_back(self) -> None:
        assert gate().check(seen(59, 1), NOW).allows is Allows.ASK

    def test_what_was_less_sure_than_it_must_be_to_act_proves_nothing(self) -> None:
        assert gate().check(seen(1000, confidence=0.74), NOW).allows is Allows.ASK

    def test_a_person_may_let_it_run_meanwhile(self) -> None:
        verdict = gate().check(seen(0, approved_by="ada"), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.ALLOW, Guarantee.Reason.APPROVED)
        assert "59 more clean outcomes until it may run alone" in verdict.says


class TestTrust:
    def test_it_is_cited_with_its_reason_and_what_is_still_to_prove(self) -> None:
        verdict = gate(trust(strategy=RETRY)).check(seen(3), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.ALLOW, Guarantee.Reason.TRUSTED)
        assert "56 more clean outcomes" in verdict.says
        assert "'known' trusts it: it never hurt" in verdict.says

    @pytest.mark.parametrize(
        "when",
        [{"strategy": "recover_service"}, {"environment": "production"}, {"target": "shop/job/other@*"}],
    )
    def test_it_holds_where_it_says_and_nowhere_else(self, when: dict[str, str]) -> None:
        assert gate(trust(**when)).check(seen(3), NOW).allows is Allows.ASK

    def test_a_plan_without_undo_is_not_trusted_as_the_risk_below(self) -> None:
        low = trust(risk=["none", "low"])
        assert gate(low).check(seen(0, risk=Risk.LOW), NOW).allows is Allows.ALLOW
        assert gate(low).check(seen(0, risk=Risk.LOW, undo=None), NOW).allows is Allows.ASK

    def test_a_policy_that_cannot_be_read_trusts_nothing(self, tmp_path: Path) -> None:
        lost = Guarantee(Guarantee.Params(), PolicyFile(tmp_path / "none.yaml", TAXONOMY))
        assert lost.check(seen(0), NOW).allows is Allows.ASK
        assert lost.check(situation(judged=PROVEN), NOW).allows is Allows.ALLOW


class TestShipped:
    @pytest.mark.parametrize(
        ("risk", "undo", "allows"),
        [
            (Risk.LOW, "nothing to undo", Allows.ALLOW),
            (Risk.LOW, None, Allows.ASK),
            (Risk.MEDIUM, "from the backup", Allows.ASK),
            (Risk.HIGH, "roll forward", Allows.ASK),
        ],
    )
    def test_a_fresh_install_trusts_low_risk_and_the_rest_must_earn_it(
        self, risk: Risk, undo: str | None, allows: Allows
    ) -> None:
        shipped = FixedPolicy(read_policy(knowledge_folder() / "policy.yaml", TAXONOMY))
        verdict = Guarantee(Guarantee.Params(), shipped).check(seen(0, risk=risk, undo=undo), NOW)
        assert verdict.allows is allows
        assert "59 more clean outcomes until it may run alone" in verdict.says
