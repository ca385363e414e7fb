"""The policy gate: the strictest of all rules that match, and asking when nobody can read them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decision.decision import Allows, Situation
from app.decision.gates.policy import Policy as PolicyGate
from app.decision.policy import FixedPolicy, Policy, PolicyFile, Rule, When
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from tests.situations import NOW, situation, situations

ORDER = tuple(Allows)


def rule(then: Allows, name: str = "", **when: object) -> Rule:
    return Rule(name=name or then.value, when=When.model_validate(when), then=then, because=f"so {then}")


def gate(*rules: Rule) -> PolicyGate:
    return PolicyGate(PolicyGate.Params(), FixedPolicy(Policy(rules=rules)))


RULES = st.builds(
    rule,
    st.sampled_from(Allows),
    environment=st.sampled_from(["*", "production", "staging"]),
    hours=st.sampled_from(["22:00-06:00", "06:00-22:00"]),
)


class TestCheck:
    def test_without_a_rule_it_leaves_the_matter_to_the_other_gates(self) -> None:
        verdict = gate(rule(Allows.BLOCK, environment="production")).check(situation(), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.ALLOW, PolicyGate.Reason.NO_RULE)

    @pytest.mark.parametrize("then", list(Allows))
    def test_a_rule_is_named_with_its_reason(self, then: Allows) -> None:
        verdict = gate(rule(then, "freeze")).check(situation(), NOW)
        assert verdict.allows is then
        assert "'freeze'" in verdict.says
        assert f"so {then}" in verdict.says

    def test_the_strictest_wins_in_any_order(self) -> None:
        rules = [rule(Allows.BLOCK), rule(Allows.ALLOW), rule(Allows.ASK)]
        assert gate(*rules).check(situation(), NOW).allows is Allows.BLOCK
        assert gate(*rules[::-1]).check(situation(), NOW).allows is Allows.BLOCK
        assert gate(*rules[1:]).check(situation(), NOW).allows is Allows.ASK

    def test_rules_that_agree_are_all_named(self) -> None:
        verdict = gate(rule(Allows.ASK, "one"), rule(Allows.ASK, "two")).check(situation(), NOW)
        assert "'one'" in verdict.says
        assert "'two'" in verdict.says


class TestApproval:
    def test_it_answers_a_rule_that_asks_and_is_named(self) -> None:
        verdict = gate(rule(Allows.ASK)).check(situation(approved_by="ada"), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.ALLOW, PolicyGate.Reason.APPROVED)
        assert "ada" in verdict.says

    def test_it_does_not_pass_a_rule_that_blocks(self) -> None:
        blocked = gate(rule(Allows.ASK), rule(Allows.BLOCK))
        assert blocked.check(situation(approved_by="ada"), NOW).allows is Allows.BLOCK


class TestUnreadable:
    @pytest.mark.parametrize("text", [None, "", "rules: [", "rules: [{name: a, then: allow}]"])
    @pytest.mark.parametrize("approved_by", ["", "ada"])
    def test_a_policy_that_is_missing_or_wrong_asks_and_says_so(
        self, text: str | None, approved_by: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "policy.yaml"
        if text is not None:
            path.write_text(text)
        file = PolicyFile(path, read_taxonomy(knowledge_folder() / "taxonomy.yaml"))
        verdict = PolicyGate(PolicyGate.Params(), file).check(situation(approved_by=approved_by), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.ASK, PolicyGate.Reason.UNREADABLE)
        assert "policy.yaml" in verdict.says


@given(any_situation=situations(), rules=st.lists(RULES, max_size=4), more=RULES, at=st.integers(0, 4))
def test_one_more_rule_never_makes_it_milder(
    any_situation: Situation, rules: list[Rule], more: Rule, at: int
) -> None:
    before = gate(*rules).check(any_situation, NOW).allows
    after = gate(*rules[:at], more, *rules[at:]).check(any_situation, NOW).allows
    assert ORDER.index(after) >= ORDER.index(before)
