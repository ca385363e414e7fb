"""Which setting of a mode counts, and how it is told."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given

from app.db.engine import Database, sqlite_url
from app.decision import store
from app.decision.decide import Decide, default_gates
from app.decision.decision import Effect, Situation
from app.decision.freeze import NoFreeze
from app.decision.mode import Mode, ModeSetting, check_names, shadowed, told
from app.decision.plan import Risk
from app.decision.policy import FixedPolicy, Policy
from app.decision.settings import DecisionSettings
from app.foundation.errors import Invalid
from app.tables import metadata
from tests.diagnosis import small
from tests.situations import NOW, RETRY, escalation, plan, situation, situations

TYPE, PLACE = "network_timeout", "Production"


def set_to(mode: Mode, **where: str) -> ModeSetting:
    return ModeSetting(mode=mode, actor="ada", reason="trial", at=NOW, **where)


def why(*settings: ModeSetting, from_risk: Risk | None = None, environment: str = "production") -> str:
    return shadowed(settings, plan(), TYPE, environment, from_risk)


class TestWhichCounts:
    def test_without_any_it_is_live(self) -> None:
        assert why() == ""

    @pytest.mark.parametrize(
        "where",
        [
            {},
            {"strategy": RETRY},
            {"type": TYPE},
            {"environment": PLACE},
            {"type": TYPE, "environment": PLACE},
        ],
    )
    def test_one_that_fits(self, where: dict[str, str]) -> None:
        assert why(set_to(Mode.SHADOW, **where)) == "in shadow by ada: trial"

    @pytest.mark.parametrize(
        "where", [{"strategy": "recover_service"}, {"type": "test_failure"}, {"environment": "staging"}]
    )
    def test_one_that_does_not(self, where: dict[str, str]) -> None:
        assert why(set_to(Mode.SHADOW, **where)) == ""

    def test_the_one_that_names_most(self) -> None:
        wide, narrow = set_to(Mode.SHADOW), set_to(Mode.LIVE, strategy=RETRY, environment=PLACE)
        assert why(wide, narrow) == why(narrow, wide) == ""
        assert why(wide, narrow, environment="staging") != ""

    def test_shadow_among_those_that_name_as_much(self) -> None:
        live, shadow = set_to(Mode.LIVE, type=TYPE), set_to(Mode.SHADOW, strategy=RETRY)
        assert why(live, shadow) == why(shadow, live) != ""

    @pytest.mark.parametrize(("from_risk", "shadow"), [(Risk.LOW, True), (Risk.MEDIUM, False), (None, False)])
    def test_the_risk_it_starts_from(self, from_risk: Risk | None, shadow: bool) -> None:
        assert bool(why(from_risk=from_risk)) is shadow
        assert why(set_to(Mode.LIVE), from_risk=from_risk) == ""

    def test_what_cannot_be_undone_counts_as_riskier(self) -> None:
        assert "plans of medium risk" in shadowed((), plan(undo=None), TYPE, "", Risk.MEDIUM)


class TestWhatItDoes:
    GATES = default_gates(FixedPolicy(Policy(rules=())), DecisionSettings(), NoFreeze())

    @given(case=situations())
    def test_shadow_never_acts_and_changes_nothing_else(self, case: Situation) -> None:
        decide = Decide(self.GATES)
        live, verdicts, _ = decide.decide(case, NOW)
        effect, same, says = decide.decide(case.model_copy(update={"shadow": "in shadow by ada"}), NOW)
        assert same == verdicts
        assert effect is (Effect.SHADOW if live in (Effect.ACT, Effect.ASK) else live)
        if effect is Effect.SHADOW:
            assert "in shadow by ada; live, it " in says

    def test_telling_a_person_has_no_shadow(self) -> None:
        effect, _, _ = Decide(self.GATES).decide(situation(plan=escalation(), shadow="in shadow"), NOW)
        assert effect is Effect.ESCALATE

    def test_no_gate_sees_words_of_an_event(self) -> None:
        incident = situation().incident
        assert (incident.title, incident.message, incident.template, incident.why) == ("", "", "", ())


class TestTold:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ((), "live"),
            ((set_to(Mode.SHADOW),), "shadow"),
            ((set_to(Mode.SHADOW), set_to(Mode.LIVE, strategy=RETRY)), "live"),
            ((set_to(Mode.SHADOW, strategy="recover_service"),), "live"),
            ((set_to(Mode.SHADOW, environment="staging"),), "live, shadow in staging"),
            (
                (set_to(Mode.SHADOW), set_to(Mode.LIVE, type=TYPE, environment="staging")),
                f"shadow, live for {TYPE} in staging",
            ),
        ],
    )
    def test_in_a_few_words(self, settings: tuple[ModeSetting, ...], said: str) -> None:
        assert told(settings, RETRY, "low", None) == said

    def test_from_a_risk_on(self) -> None:
        assert [told((), RETRY, risk, Risk.MEDIUM) for risk in Risk] == ["live", "live", "shadow", "shadow"]

    def test_names_are_checked(self) -> None:
        check_names(small.taxonomy(), RETRY, TYPE)
        check_names(small.taxonomy(), "", "")
        with pytest.raises(Invalid) as error:
            check_names(small.taxonomy(), "prayer", "gremlins")
        assert [place for place, _ in error.value.places] == ["strategy", "type"]


class TestRows:
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        made = Database(sqlite_url(tmp_path / "test.db"))
        metadata.create_all(made.engine)
        yield made
        made.close()

    def test_the_newest_word_on_a_place_counts(self, database: Database) -> None:
        with database.writing() as session:
            for mode, where in (
                (Mode.SHADOW, {}),
                (Mode.LIVE, {"strategy": RETRY}),
                (Mode.SHADOW, {"strategy": RETRY}),
                (Mode.SHADOW, {"environment": "staging"}),
                (Mode.DEFAULT, {"environment": "staging"}),
            ):
                # The clock jumps back each time: the last word is the last all the same.
                at = NOW - timedelta(minutes=len(where))
                store.set_mode(session, set_to(mode, **where).model_copy(update={"at": at}))
        with database.reading() as session:
            found = [(one.strategy, one.environment, one.mode) for one in store.modes(session)]
        assert found == [("", "", Mode.SHADOW), (RETRY, "", Mode.SHADOW)]
