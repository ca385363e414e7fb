"""What every gate keeps, found in the tuple of `app/decision/gates`."""

import pkgutil
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from app.decision import gates
from app.decision.decision import Allows, Situation, Verdict
from app.decision.freeze import NoFreeze
from app.decision.policy import FixedPolicy, Policy, Rule
from app.decision.settings import DecisionSettings
from app.diagnosis.choose import ESCALATE
from app.foundation.record import Record
from tests.situations import NOW, TIMES, situation, situations

RULE = Rule(name="careful", then=Allows.ASK, because="we are careful")
# The first question to the guarantee imports scipy, which takes as long as a hundred later ones.
MANY = settings(deadline=None, max_examples=60)
GATES: tuple[Any, ...] = gates.default_gates(
    FixedPolicy(Policy(rules=(RULE,))), DecisionSettings(), NoFreeze()
)


@pytest.fixture(params=GATES, ids=[gate.id for gate in GATES])
def gate(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_every_file_is_registered_under_its_name() -> None:
    files = [module.name for module in pkgutil.iter_modules(gates.__path__)]
    assert sorted(gate.id for gate in GATES) == sorted(files)


def test_it_says_what_it_does(gate: Any) -> None:
    first_line = (type(gate).__doc__ or "").strip().split("\n")[0]
    assert first_line.endswith(".")


def test_every_reason_begins_with_its_id(gate: Any) -> None:
    assert all(reason.value.startswith(f"{gate.id}.") for reason in type(gate).Reason)


class TestParams:
    def test_they_come_back_from_json(self, gate: Any) -> None:
        assert issubclass(gate.Params, Record)
        assert gate.Params.model_validate_json(gate.params.model_dump_json()) == gate.params

    def test_an_unknown_one_is_refused(self, gate: Any) -> None:
        with pytest.raises(ValidationError):
            gate.Params.model_validate({"no_such": 1})


class TestCheck:
    @pytest.mark.parametrize("nth", range(len(GATES)), ids=[gate.id for gate in GATES])
    @MANY
    @given(any_situation=situations(), now=TIMES)
    def test_it_is_pure_and_never_raises(self, nth: int, any_situation: Situation, now: datetime) -> None:
        gate = GATES[nth]
        before = any_situation.model_dump_json()
        verdict = gate.check(any_situation, now)
        assert isinstance(verdict, Verdict)
        assert gate.check(any_situation, now) == verdict
        assert any_situation.model_dump_json() == before
        assert verdict.gate == gate.id
        assert verdict.reason in set(gate.Reason)
        assert verdict.says
        assert verdict.until is None or (verdict.allows is not Allows.ALLOW and verdict.until > now)

    @pytest.mark.parametrize("nth", range(len(GATES)), ids=[gate.id for gate in GATES])
    @MANY
    @given(any_situation=situations())
    def test_an_approval_is_never_stricter_and_never_lifts_a_limit(
        self, nth: int, any_situation: Situation
    ) -> None:
        gate, order = GATES[nth], tuple(Allows)
        alone = gate.check(any_situation.model_copy(update={"approved_by": ""}), NOW)
        approved = gate.check(any_situation.model_copy(update={"approved_by": "ada"}), NOW)
        assert order.index(approved.allows) <= order.index(alone.allows)
        if gate.id != "bands" and alone.allows is Allows.BLOCK:
            assert approved.allows is Allows.BLOCK
        if any_situation.plan.strategy == ESCALATE and gate.id not in ("pause", "policy"):
            assert alone.allows is Allows.ALLOW


def test_the_usual_case_passes_all_but_the_rule_that_asks() -> None:
    asked = [gate.id for gate in GATES if gate.check(situation(), NOW).allows is not Allows.ALLOW]
    assert asked == ["policy"]
