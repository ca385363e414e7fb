"""Decide: every gate runs, every verdict is kept, the strictest wins."""

from datetime import datetime
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.decision.decide import Decide, default_gates
from app.decision.decision import Allows, Effect, Gate, Situation, Verdict
from app.decision.freeze import NoFreeze
from app.decision.gates.bands import Bands
from app.decision.gates.blast_radius import BlastRadius
from app.decision.gates.breaker import Breaker
from app.decision.gates.cap import Cap
from app.decision.gates.cooldown import Cooldown
from app.decision.gates.freeze import Freeze as FreezeGate
from app.decision.gates.guarantee import Guarantee
from app.decision.gates.pause import Pause
from app.decision.gates.policy import Policy as PolicyGate
from app.decision.gates.repeated import Repeated
from app.decision.gates.risk import Risk as RiskGate
from app.decision.gates.runbook import Runbook as RunbookGate
from app.decision.plan import Risk
from app.decision.policy import FixedPolicy, Policy, Rule, When
from app.decision.settings import DecisionSettings
from app.diagnosis.diagnosis import UNKNOWN
from app.incidents.incident import State
from tests.situations import NOW, TIMES, attempt, escalation, situation, situations

MILD_TO_STRICT = (Effect.ACT, Effect.ASK, Effect.ESCALATE)
FREEZE = Rule(name="freeze", when=When(environment=("production",)), then=Allows.BLOCK, because="frozen")
LOOK = Rule(name="look", when=When(owner=("payments",)), then=Allows.ASK, because="they want to look")


def decide(*rules: Rule) -> Decide:
    return Decide(default_gates(FixedPolicy(Policy(rules=rules)), DecisionSettings(), NoFreeze()))


class Says:
    """Gives always the same answer."""

    id: ClassVar[str] = "says"

    def __init__(self, allows: Allows) -> None:
        self._allows = allows

    def check(self, situation: Situation, now: datetime) -> Verdict:
        return Verdict(gate=self.id, allows=self._allows, reason="says.so", says=f"I say {self._allows}")


class Breaks:
    """A gate with a defect."""

    id: ClassVar[str] = "breaks"

    def check(self, situation: Situation, now: datetime) -> Verdict:
        raise ZeroDivisionError


class TestEffect:
    @pytest.mark.parametrize(
        ("case", "effect", "told"),
        [
            (situation(), Effect.ACT, "no gate objects"),
            (situation(state=State.ACKNOWLEDGED), Effect.ACT, "no gate objects"),
            (situation(confidence=0.6), Effect.ASK, "0.6"),
            (situation(confidence=0.4), Effect.ESCALATE, "0.4"),
            (situation(type=UNKNOWN, confidence=0.99), Effect.ESCALATE, "unknown"),
            (situation(risk=Risk.HIGH), Effect.ASK, "high"),
            (situation(risk=Risk.MEDIUM, undo=None), Effect.ASK, "cannot be undone"),
            (situation(confidence=0.4, risk=Risk.HIGH), Effect.ESCALATE, "0.4"),
            (situation(paused="paused by ada: audit"), Effect.ESCALATE, "paused by ada: audit"),
            (
                situation(attempts=(attempt(1, ended=None), attempt(2, ended=None))),
                Effect.ESCALATE,
                "acted on 2 times",
            ),
            (situation(attempts=(attempt(9),)), Effect.ESCALATE, "the same repair again"),
            (situation(judged=()), Effect.ASK, "59 more clean outcomes until it may run alone"),
            (situation(attempts=(attempt(9, ended="undone"),)), Effect.ESCALATE, "the same repair again"),
            (situation(environment="production"), Effect.ESCALATE, "'freeze'"),
            (situation(owner="payments"), Effect.ASK, "'look'"),
            (situation(plan=escalation()), Effect.ESCALATE, "when nothing better can be done"),
            (situation(state=State.RESOLVED), Effect.IGNORE, "resolved"),
            (situation(state=State.SUPPRESSED), Effect.IGNORE, "suppressed"),
            (
                situation(state=State.RESOLVED, plan=escalation(), paused="paused by x"),
                Effect.IGNORE,
                "resolved",
            ),
        ],
    )
    def test_table(self, case: Situation, effect: Effect, told: str) -> None:
        got, verdicts, says = decide(FREEZE, LOOK).decide(case, NOW)
        assert got is effect
        assert told in says
        assert [verdict.gate for verdict in verdicts] == [
            "pause",
            "freeze",
            "policy",
            "runbook",
            "bands",
            "risk",
            "guarantee",
            "breaker",
            "repeated",
            "cooldown",
            "blast_radius",
            "cap",
        ]

    @pytest.mark.parametrize(
        ("case", "effect"),
        [
            ({"confidence": 0.6, "risk": Risk.HIGH, "owner": "payments"}, Effect.ACT),
            ({"confidence": 0.1}, Effect.ACT),
            ({"type": UNKNOWN}, Effect.ACT),
            ({"paused": "paused by x"}, Effect.ESCALATE),
            ({"environment": "production"}, Effect.ESCALATE),
            ({"attempts": (attempt(1), attempt(2))}, Effect.ESCALATE),
            ({"attempts": tuple(attempt(n, target=f"t{n}") for n in range(10))}, Effect.ESCALATE),
            ({"state": State.RESOLVED}, Effect.IGNORE),
        ],
    )
    def test_an_approval_answers_what_asks_and_nothing_that_blocks(
        self, case: dict[str, object], effect: Effect
    ) -> None:
        got, _, says = decide(FREEZE, LOOK).decide(situation(approved_by="ada", **case), NOW)
        assert got is effect
        assert ("ada" in says) == (effect is Effect.ACT)

    def test_all_that_decide_are_named(self) -> None:
        _, _, says = decide().decide(situation(confidence=0.6, risk=Risk.HIGH), NOW)
        assert says.endswith("(and so say risk)")


class TestBrokenGate:
    def test_it_asks_is_logged_and_the_others_still_run(self) -> None:
        with capture_logs() as logs:
            effect, verdicts, says = Decide([Breaks(), Says(Allows.ALLOW)]).decide(situation(), NOW)
        assert effect is Effect.ASK
        assert [(v.gate, v.allows, v.reason) for v in verdicts] == [
            ("breaks", Allows.ASK, "gate.failed"),
            ("says", Allows.ALLOW, "says.so"),
        ]
        assert "'breaks' failed (ZeroDivisionError)" in says
        assert [(line["event"], line["gate"], line["log_level"]) for line in logs] == [
            ("gate.failed", "breaks", "error")
        ]

    def test_an_approval_does_not_stand_in_for_it(self) -> None:
        assert Decide([Breaks()]).decide(situation(approved_by="ada"), NOW)[0] is Effect.ASK

    def test_a_block_of_another_is_stricter(self) -> None:
        assert Decide([Breaks(), Says(Allows.BLOCK)]).decide(situation(), NOW)[0] is Effect.ESCALATE


def test_without_gates_nothing_is_decided() -> None:
    with pytest.raises(ValueError, match="at least one gate"):
        Decide([])


class TestDefaultGates:
    def test_the_settings_reach_the_gates(self) -> None:
        settings = DecisionSettings(act_at=0.95, cooldown_most=1)
        chosen = Decide(default_gates(FixedPolicy(Policy(rules=())), settings, NoFreeze()))
        assert chosen.decide(situation(), NOW)[0] is Effect.ASK
        assert chosen.decide(situation(confidence=1, attempts=(attempt(),)), NOW)[0] is Effect.ESCALATE

    def test_the_settings_start_where_the_gates_do(self) -> None:
        gates = default_gates(FixedPolicy(Policy(rules=())), DecisionSettings(), NoFreeze())
        assert [gate.params for gate in gates] == [  # type: ignore[attr-defined]
            Pause.Params(),
            FreezeGate.Params(),
            PolicyGate.Params(),
            RunbookGate.Params(),
            Bands.Params(),
            RiskGate.Params(),
            Guarantee.Params(),
            Breaker.Params(),
            Repeated.Params(),
            Cooldown.Params(),
            BlastRadius.Params(),
            Cap.Params(),
        ]

    def test_bands_out_of_order_are_refused(self) -> None:
        with pytest.raises(ValueError, match="ask_at lies above act_at"):
            DecisionSettings(act_at=0.4)


GATES = default_gates(FixedPolicy(Policy(rules=(FREEZE, LOOK))), DecisionSettings(), NoFreeze())


@settings(deadline=None)
@given(any_situation=situations(), now=TIMES)
def test_it_acts_only_when_every_verdict_allows(any_situation: Situation, now: datetime) -> None:
    effect, verdicts, _ = Decide(GATES).decide(any_situation, now)
    if effect is Effect.ACT:
        assert {verdict.allows for verdict in verdicts} == {Allows.ALLOW}
        assert any_situation.incident.state in (State.FIRING, State.ACKNOWLEDGED)


@settings(deadline=None)
@given(
    any_situation=situations(),
    gates=st.lists(st.sampled_from([*GATES, *map(Says, Allows)]), min_size=1, max_size=6),
    more=st.sampled_from([*GATES, *map(Says, Allows)]),
    at=st.integers(0, 6),
)
def test_one_more_gate_never_makes_it_milder(
    any_situation: Situation, gates: list[Gate], more: Gate, at: int
) -> None:
    before, _, _ = Decide(gates).decide(any_situation, NOW)
    after, _, _ = Decide([*gates[:at], more, *gates[at:]]).decide(any_situation, NOW)
    if before is Effect.IGNORE:
        assert after is Effect.IGNORE
    else:
        assert MILD_TO_STRICT.index(after) >= MILD_TO_STRICT.index(before)
