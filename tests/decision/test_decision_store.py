"""Rows of decisions and pauses."""

from datetime import timedelta

import pytest

from app.db.engine import Database
from app.decision import store
from app.decision.decide import Decide, default_gates
from app.decision.decision import Allows, Decision, Effect
from app.decision.freeze import NoFreeze
from app.decision.policy import FixedPolicy, Policy
from app.decision.settings import DecisionSettings
from app.foundation.errors import NotFound
from tests.situations import NOW, attempt, situation


def decision(decision_id: str = "dec_1", minutes: int = 0, **fields: object) -> Decision:
    case = situation(attempts=(attempt(1), attempt(2)))
    gates = default_gates(FixedPolicy(Policy(rules=())), DecisionSettings(), NoFreeze())
    effect, verdicts, says = Decide(gates).decide(case, NOW)
    whole = Decision(
        id=decision_id,
        incident_id=case.incident.id,
        episode=1,
        diagnosis_id=case.diagnosis.id,
        at=NOW + timedelta(minutes=minutes),
        effect=effect,
        strategy=case.plan.strategy,
        plan=case.plan,
        verdicts=verdicts,
        considered=("recover_service: the target does not allow it",),
        says=says,
    )
    return whole.model_copy(update=fields)


class TestDecisions:
    @pytest.mark.parametrize("planned", [True, False])
    def test_one_comes_back_as_it_was_stored(self, database: Database, planned: bool) -> None:
        given = decision() if planned else decision(plan=None)
        with database.writing() as session:
            store.add(session, given)
        with database.reading() as session:
            got = store.get(session, given.id)
        assert got == given
        if given.plan and got.plan:
            assert got.plan.hash == given.plan.hash

    def test_the_first_stands_when_a_step_runs_twice(self, database: Database) -> None:
        for says in ("first", "second"):
            with database.writing() as session:
                store.add(session, decision(says=says))
        with database.reading() as session:
            assert store.get(session, "dec_1").says == "first"

    def test_an_unknown_id_is_not_found(self, database: Database) -> None:
        with database.reading() as session, pytest.raises(NotFound, match="dec_9"):
            store.get(session, "dec_9")
        with database.reading() as session:
            assert store.find(session, "dec_9") is None

    def test_those_of_an_incident_come_in_time_order(self, database: Database) -> None:
        with database.writing() as session:
            store.add(session, decision("dec_b", minutes=1))
            store.add(session, decision("dec_a", minutes=2))
            store.add(session, decision("dec_c", incident_id="inc_2"))
        with database.reading() as session:
            assert [found.id for found in store.of_incident(session, "inc_1")] == ["dec_b", "dec_a"]
            assert store.of_incident(session, "inc_9") == []

    def test_what_a_shadow_decision_would_be_stands_in_its_verdicts(self) -> None:
        for allows, would in ((Allows.ALLOW, Effect.ACT), (Allows.ASK, Effect.ASK)):
            verdicts = tuple(one.model_copy(update={"allows": allows}) for one in decision().verdicts)
            assert decision(effect=Effect.SHADOW, verdicts=verdicts).would is would
        assert decision(effect=Effect.ESCALATE).would is Effect.ESCALATE


class TestPauses:
    def test_nothing_is_paused_at_first(self, database: Database) -> None:
        with database.reading() as session:
            assert store.current(session) == ""

    def test_a_pause_lasts_until_somebody_resumes(self, database: Database) -> None:
        with database.writing() as session:
            store.pause(session, actor="ada", reason="audit", at=NOW)
        with database.reading() as session:
            assert store.current(session) == "paused by ada: audit"
        with database.writing() as session:
            store.resume(session, actor="grace", reason="audit is over", at=NOW)
        with database.reading() as session:
            assert store.current(session) == ""

    def test_the_newest_reason_counts_and_none_leaves_the_name(self, database: Database) -> None:
        with database.writing() as session:
            store.pause(session, actor="ada", reason="audit", at=NOW)
            store.pause(session, actor="grace", reason="", at=NOW)
            session.flush()
            assert store.current(session) == "paused by grace"

    def test_the_last_word_counts_although_the_clock_jumped_back(self, database: Database) -> None:
        with database.writing() as session:
            store.resume(session, actor="ada", reason="", at=NOW)
            session.flush()
            store.pause(session, actor="ada", reason="storm", at=NOW - timedelta(hours=1))
            session.flush()
            assert store.current(session) == "paused by ada: storm"
