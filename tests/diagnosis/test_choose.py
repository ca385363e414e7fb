from collections.abc import Mapping

import pytest

from app.diagnosis.choose import ESCALATE, TrackRecord, choose, posterior
from app.diagnosis.diagnosis import UNKNOWN, Choice
from app.knowledge.playbook import Action
from app.knowledge.retrieve import Cited
from app.knowledge.taxonomy import StrategyEntry, Taxonomy, TypeEntry
from tests.diagnosis.small import runbook


def entry(*serves: str, prior: float = 0.5) -> StrategyEntry:
    return StrategyEntry(serves=serves, prior=prior, risk="low", undo="")


TAXONOMY = Taxonomy(
    version=1,
    prior_weight=4,
    types={name: TypeEntry(when=name) for name in ("a", "b", UNKNOWN)},
    strategies={
        "one": entry("a", prior=0.8),
        "both": entry("a", "b", prior=0.6),
        "two": entry("b", prior=0.9),
        "away": entry("a", "b", prior=1.0),
        ESCALATE: entry("*", prior=1.0),
    },
)
REGISTERED = ("one", "both", "two", ESCALATE)


def chosen(
    type_: str = "a",
    probabilities: Mapping[str, float] | None = None,
    registered: tuple[str, ...] = REGISTERED,
    cited: tuple[Cited, ...] = (),
    **records: TrackRecord,
) -> list[Choice]:
    return list(choose(TAXONOMY, registered, type_, probabilities or {"a": 0.9, "b": 0.1}, cited, records))


def names(found: list[Choice]) -> list[str]:
    return [choice.strategy for choice in found]


def cites(strategy: str, type_: str, **params: object) -> Cited:
    book = runbook("a-runbook", type_, strategy, (), "x").model_copy(update={"params": params})
    return Cited(runbook=book, section=book.sections[0], similarity=0.7)


class TestPosterior:
    @pytest.mark.parametrize(
        ("successes", "trials", "expected"),
        [(0, 0, 0.8), (1, 1, 4.2 / 5), (0, 1, 3.2 / 5), (0, 12, 3.2 / 16), (96, 96, 99.2 / 100)],
    )
    def test_the_prior_is_worth_four_outcomes(self, successes: int, trials: int, expected: float) -> None:
        record = TrackRecord(successes=successes, trials=trials)
        assert posterior(TAXONOMY, TAXONOMY.strategies["one"].prior, record) == pytest.approx(expected)


class TestChoose:
    def test_the_best_expected_result_comes_first_and_a_person_last(self) -> None:
        found = chosen()
        assert names(found) == ["one", "both", ESCALATE]
        assert [choice.expected for choice in found] == pytest.approx([0.9 * 0.8, 1.0 * 0.6, 0])

    def test_serving_two_likely_types_is_worth_more(self) -> None:
        assert names(chosen(probabilities={"a": 0.5, "b": 0.5}))[0] == "both"

    def test_outcomes_turn_the_order(self) -> None:
        found = chosen(one=TrackRecord(successes=0, trials=6))
        assert names(found) == ["both", "one", ESCALATE]
        assert (found[1].successes, found[1].trials) == (0, 6)
        assert found[1].success == pytest.approx(0.32)
        assert "(0 of 6 here)" in found[1].because

    def test_unknown_only_goes_to_a_person(self) -> None:
        assert names(chosen(UNKNOWN, {"a": 0.5, "b": 0.4, UNKNOWN: 0.1})) == [ESCALATE]

    def test_what_is_not_registered_is_never_chosen(self) -> None:
        assert "away" not in names(chosen())
        assert names(chosen(registered=(ESCALATE,))) == [ESCALATE]

    def test_what_the_taxonomy_does_not_know_is_never_chosen(self) -> None:
        assert "homemade" not in names(chosen(registered=(*REGISTERED, "homemade")))

    def test_what_does_not_serve_the_type_itself_is_not_offered(self) -> None:
        assert "two" not in names(chosen("a", {"a": 0.5, "b": 0.5}))

    def test_what_serves_hardly_likely_types_is_not_offered(self) -> None:
        assert names(chosen("a", {"a": 0.04, "b": 0.0})) == [ESCALATE]

    def test_equals_come_by_name(self) -> None:
        found = chosen(both=TrackRecord(successes=8, trials=10), probabilities={"a": 1.0, "b": 0.0})
        assert found[0].expected != found[1].expected
        tied = choose(
            TAXONOMY.model_copy(
                update={"strategies": {"z": entry("a"), "y": entry("a"), ESCALATE: entry("*")}}
            ),
            ("z", "y", ESCALATE),
            "a",
            {"a": 0.9},
            (),
            {},
        )
        assert names(list(tied)) == ["y", "z", ESCALATE]

    def test_the_same_again(self) -> None:
        assert chosen() == chosen()


class TestTheCitedRunbook:
    def test_its_parameters_go_with_its_strategy(self) -> None:
        found = chosen(cited=(cites("both", "a", tries=2),))
        by_name = {choice.strategy: choice for choice in found}
        assert by_name["both"].params == {"tries": 2}
        assert by_name["one"].params == {}

    def test_it_counts_as_a_recommendation(self) -> None:
        found = chosen(probabilities={"a": 0.8, "b": 0.1}, cited=(cites("both", "a"),))
        assert found[0].expected == pytest.approx(0.8 * 0.8)
        assert next(c for c in found if c.strategy == "both").expected == pytest.approx(0.9 * 0.6 * 1.15)
        assert "recommended by a-runbook#symptoms" in next(c for c in found if c.strategy == "both").because

    def test_never_over_certainty(self) -> None:
        found = chosen(
            probabilities={"a": 1.0}, cited=(cites("one", "a"),), one=TrackRecord(successes=996, trials=996)
        )
        assert found[0].expected == 1

    def test_one_for_another_type_says_nothing(self) -> None:
        assert all(not choice.params for choice in chosen(cited=(cites("both", "b", tries=2),)))

    def test_of_two_the_first_counts(self) -> None:
        found = chosen(cited=(cites("both", "a", tries=2), cites("both", "a", tries=5)))
        assert {choice.strategy: choice.params for choice in found}["both"] == {"tries": 2}


class TestPlaybooks:
    def cited(self, **fields: object) -> Cited:
        actions = (Action(strategy="one"), Action(strategy="both"))
        book = cites("playbook", "a").runbook.model_copy(update={"actions": actions, **fields})
        return Cited(runbook=book, section=book.sections[0], similarity=0.7)

    def test_it_is_a_strategy_of_its_own_that_starts_from_its_weakest_action(self) -> None:
        cited = self.cited()
        choice = next(one for one in chosen(cited=(cited,)) if one.actions)
        assert choice.strategy == "playbook:a-runbook"
        assert choice.actions == cited.runbook.actions
        assert choice.success == pytest.approx(0.6)
        assert choice.expected == pytest.approx(0.9 * 0.6 * 1.15)
        assert "recommended by a-runbook#" in choice.because

    def test_its_own_record_moves_it(self) -> None:
        records = {"playbook:a-runbook": TrackRecord(successes=0, trials=12)}
        found = choose(TAXONOMY, REGISTERED, "a", {"a": 0.9}, (self.cited(),), records)
        choice = next(one for one in found if one.actions)
        assert (choice.trials, choice.success) == (12, pytest.approx(0.6 * 4 / 16))

    def test_for_another_type_it_is_not_offered(self) -> None:
        assert not any(one.actions for one in chosen(cited=(self.cited(types=("b",)),)))
