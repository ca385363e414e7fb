from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.diagnosis.choose import ESCALATE, TrackRecord
from app.diagnosis.diagnose import Diagnose, strongest
from app.diagnosis.diagnosis import UNKNOWN, Diagnosis, EvidenceKind, Finding, Symptom
from app.diagnosis.fit import OWN_WEIGHT
from app.diagnosis.scorer import silent
from app.diagnosis.weigh import Heard
from app.foundation.clock import FrozenClock
from app.knowledge.case import Case, Origin
from app.knowledge.retrieve import Retriever
from tests.diagnosis import small
from tests.situations import NOW

TIMEOUT = Symptom(incident_id="inc_1", message="connection to the ledger timed out after 30 s")


class Raises:
    id = "raises"
    version = "1"

    def score(self, symptom: Symptom) -> Finding:
        raise ZeroDivisionError("of a scorer")


class Silent:
    id = "silent"
    version = "1"

    def score(self, symptom: Symptom) -> Finding:
        return silent(self, "it has nothing to say")


class Sure:
    id = "sure"
    version = "1"

    def __init__(self, type_: str) -> None:
        self._type = type_

    def score(self, symptom: Symptom) -> Finding:
        return Finding(scorer="sure@1", scores={self._type: 1.0}, contributes=True, hint="it is sure")


def with_scorers(brain: tuple[Diagnose, Retriever], *scorers: object, **weights: float) -> Diagnose:
    """The same brain with other voices."""
    return Diagnose(
        scorers,  # type: ignore[arg-type]
        {f"{name}@1": weight for name, weight in weights.items()},
        brain[0].fitted,
        brain[1],
        small.taxonomy(),
        small.REGISTERED,
        dict,
        FrozenClock(NOW),
    )


class Chooses:
    """A judge that takes the last of what it may choose from."""

    id = "chooses"
    version = "1"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def score(self, symptom: Symptom) -> Finding:
        raise AssertionError("a judge is asked to judge")

    def judge(self, symptom: Symptom, candidates: Sequence[str]) -> Finding:
        self.asked.append(list(candidates))
        chosen = candidates[1]
        return Finding(scorer="chooses@1", scores={chosen: 1.0}, contributes=True, hint=f"it takes {chosen}")


def without_time(diagnosis: Diagnosis) -> Diagnosis:
    return diagnosis.model_copy(update={"milliseconds": 0, "id": ""})


class TestDiagnose:
    @pytest.mark.parametrize("case", small.cases()[::7], ids=lambda case: case.id)
    def test_what_it_learned_it_knows(self, brain: tuple[Diagnose, Retriever], case: Case) -> None:
        assert brain[0].diagnose(Symptom(message=case.text)).type == case.type

    def test_it_carries_what_it_was_asked_about(self, brain: tuple[Diagnose, Retriever]) -> None:
        found = brain[0].diagnose(TIMEOUT, 3, "dia_given")
        assert (found.id, found.incident_id, found.episode, found.at) == ("dia_given", "inc_1", 3, NOW)
        assert found.excerpt == TIMEOUT.message
        assert found.scorer_set == f"set-{brain[0].fitted.manifest.id}"
        assert brain[0].diagnose(TIMEOUT).id.startswith("dia_")

    def test_the_same_again_gives_the_same(self, brain: tuple[Diagnose, Retriever], models: Path) -> None:
        first = without_time(brain[0].diagnose(TIMEOUT))
        assert without_time(brain[0].diagnose(TIMEOUT)) == first
        # After a restart too, from what was kept.
        assert without_time(small.make(models)[0].diagnose(TIMEOUT)) == first

    def test_types_are_ranked_and_sum_to_one(self, brain: tuple[Diagnose, Retriever]) -> None:
        ranked = brain[0].diagnose(TIMEOUT).ranked
        assert ranked[0].type == "network_timeout"
        assert [one.probability for one in ranked] == sorted(
            (one.probability for one in ranked), reverse=True
        )
        assert sum(one.probability for one in ranked) == pytest.approx(1, abs=1e-3)

    def test_the_log_is_read_too(self, brain: tuple[Diagnose, Retriever]) -> None:
        log = "\n".join(
            ["INFO a step is done"] * 100 + ["error: permission denied for orders"] + ["INFO ok"] * 50
        )
        assert brain[0].diagnose(Symptom(message="the job failed", log=log)).type == "permission_denied"

    def test_every_scorer_is_heard_in_the_order_of_explanations(
        self, brain: tuple[Diagnose, Retriever]
    ) -> None:
        scorers = [finding.scorer.split("@")[0] for finding in brain[0].diagnose(TIMEOUT).findings]
        assert scorers == [
            "tfidf_linear",
            "embedding_linear",
            "nearest_cases",
            "runbook_sections",
            "own_cases",
        ]


class TestTheStrategy:
    def test_the_cited_runbook_gives_the_parameters(self, brain: tuple[Diagnose, Retriever]) -> None:
        found = brain[0].diagnose(TIMEOUT)
        assert found.choice.strategy == "retry_with_exponential_backoff"
        assert found.choice.params == {"tries": 2}
        assert found.runbook == "load-times-out#symptoms"

    def test_outcomes_move_the_choice(self, models: Path) -> None:
        bad = {"retry_with_exponential_backoff": TrackRecord(successes=0, trials=40)}
        found = small.make(models, records=bad)[0].diagnose(TIMEOUT)
        assert found.choice.strategy == "recover_service"

    def test_a_person_is_always_the_last(self, brain: tuple[Diagnose, Retriever]) -> None:
        for case in small.cases()[::6]:
            assert brain[0].diagnose(Symptom(message=case.text)).choices[-1].strategy == ESCALATE

    def test_unknown_goes_to_a_person_only(self, brain: tuple[Diagnose, Retriever]) -> None:
        found = brain[0].diagnose(Symptom(message="the gateway stopped, exit code 1"))
        assert found.type == UNKNOWN
        assert [choice.strategy for choice in found.choices] == [ESCALATE]


class TestAScorerThatFails:
    def test_it_contributes_nothing_and_says_so(self, brain: tuple[Diagnose, Retriever]) -> None:
        found = with_scorers(brain, Raises(), Sure("quota_exceeded"), raises=1, sure=1).diagnose(TIMEOUT)
        failed = found.findings[0]
        assert (failed.scorer, failed.contributes, failed.scores) == ("raises@1", False, {})
        assert failed.hint == "it failed: ZeroDivisionError"
        assert found.type == "quota_exceeded"

    def test_it_is_as_if_it_were_not_there(self, brain: tuple[Diagnose, Retriever]) -> None:
        alone = with_scorers(brain, Sure("quota_exceeded"), sure=1).diagnose(TIMEOUT)
        beside = with_scorers(brain, Raises(), Sure("quota_exceeded"), raises=1, sure=1).diagnose(TIMEOUT)
        assert (beside.confidence, beside.ranked) == (alone.confidence, alone.ranked)


class TestTooLittle:
    @pytest.mark.parametrize("scorers", [(), (Silent(),), (Raises(), Silent())], ids=len)
    def test_nobody_says_anything(
        self, brain: tuple[Diagnose, Retriever], scorers: tuple[object, ...]
    ) -> None:
        found = with_scorers(brain, *scorers).diagnose(TIMEOUT)
        assert (found.type, found.confidence) == (UNKNOWN, 0)
        assert [choice.strategy for choice in found.choices] == [ESCALATE]

    @pytest.mark.parametrize("message", ["", " ", "\n\t\n"], ids=repr)
    def test_there_is_no_text(self, brain: tuple[Diagnose, Retriever], message: str) -> None:
        found = brain[0].diagnose(Symptom(message=message))
        assert (found.type, found.confidence) == (UNKNOWN, 0)


class TestOwnCases:
    MESSAGE = "ledger sync stopped, exit code 1"

    def learn(
        self, found: Retriever, type_: str, origin: Origin = Origin.CORRECTION, message: str = MESSAGE
    ) -> None:
        case = Case(id=f"own-{type_}-{message}", text=message, type=type_, origin=origin, incident_id="inc_1")
        found.add_case(case, found.embed(message))

    def test_a_correction_turns_the_answer_at_once(self, brain: tuple[Diagnose, Retriever]) -> None:
        diagnose, retriever = brain
        assert diagnose.diagnose(Symptom(message=self.MESSAGE)).type == UNKNOWN
        self.learn(retriever, "quota_exceeded")
        after = diagnose.diagnose(Symptom(message=self.MESSAGE))
        assert after.type == "quota_exceeded"
        assert after.findings[-1].contributes
        assert OWN_WEIGHT > 0

    def test_so_does_one_much_like_it(self, brain: tuple[Diagnose, Retriever]) -> None:
        diagnose, retriever = brain
        self.learn(retriever, "quota_exceeded")
        assert diagnose.diagnose(Symptom(message=f"{self.MESSAGE} again")).type == "quota_exceeded"

    def test_what_is_unlike_stays_as_it_was(self, brain: tuple[Diagnose, Retriever]) -> None:
        diagnose, retriever = brain
        before = without_time(diagnose.diagnose(TIMEOUT))
        self.learn(retriever, "quota_exceeded")
        after = diagnose.diagnose(TIMEOUT)
        assert (after.type, after.confidence) == (before.type, before.confidence)
        assert not after.findings[-1].contributes

    def test_a_correction_outweighs_an_outcome(self, brain: tuple[Diagnose, Retriever]) -> None:
        diagnose, retriever = brain
        self.learn(retriever, "permission_denied", Origin.OUTCOME)
        self.learn(retriever, "quota_exceeded", Origin.CORRECTION)
        assert diagnose.diagnose(Symptom(message=self.MESSAGE)).type == "quota_exceeded"

    def test_a_type_that_only_we_know(self, brain: tuple[Diagnose, Retriever]) -> None:
        diagnose, retriever = brain
        self.learn(retriever, "data_drift")
        found = diagnose.diagnose(Symptom(message=self.MESSAGE))
        assert "data_drift" in [one.type for one in found.ranked]

    def test_forgotten_it_is_as_before(self, brain: tuple[Diagnose, Retriever]) -> None:
        diagnose, retriever = brain
        before = without_time(diagnose.diagnose(Symptom(message=self.MESSAGE)))
        self.learn(retriever, "quota_exceeded")
        retriever.forget([f"own-quota_exceeded-{self.MESSAGE}"])
        assert without_time(diagnose.diagnose(Symptom(message=self.MESSAGE))) == before


class TestStrongest:
    def test_the_nearest_cases_first_and_each_once(self, brain: tuple[Diagnose, Retriever]) -> None:
        found = strongest(brain[0].diagnose(TIMEOUT), EvidenceKind.CASE, 3)
        assert len(found) == 3
        assert [weight for _, weight, _ in found] == sorted((weight for _, weight, _ in found), reverse=True)
        assert found[0][2] == "network_timeout"


class TestTheJudge:
    def judged(self, brain: tuple[Diagnose, Retriever], held: float) -> tuple[Chooses, Diagnosis]:
        class Likely(Sure):
            def score(self, symptom: Symptom) -> Finding:
                return Finding(scorer="sure@1", scores={self._type: held}, contributes=True, hint="likely")

        judge = Chooses()
        made = Diagnose(
            [Likely("network_timeout")],
            {"sure@1": 1.0, "chooses@1": 2.0},
            brain[0].fitted,
            brain[1],
            small.taxonomy(),
            small.REGISTERED,
            dict,
            FrozenClock(NOW),
            judge,
        )
        return judge, made.diagnose(TIMEOUT)

    def test_it_chooses_between_the_likely_types_and_unknown(self, brain: tuple[Diagnose, Retriever]) -> None:
        judge, found = self.judged(brain, 0.5)
        (candidates,) = judge.asked
        assert candidates[0] == "network_timeout"
        assert UNKNOWN in candidates
        assert len(candidates) <= 5
        assert found.type == candidates[1]

    def test_it_is_not_asked_where_the_others_are_sure(self, brain: tuple[Diagnose, Retriever]) -> None:
        judge, found = self.judged(brain, 1.0)
        assert judge.asked == []
        assert found.type == "network_timeout"
        assert found.findings[-1].hint == "not asked: the others are sure of network_timeout"


class TestTheVoices:
    def test_who_was_wrong_here_counts_less_and_it_is_told(self, brain: tuple[Diagnose, Retriever]) -> None:
        class Other(Sure):
            id = "other"

            def score(self, symptom: Symptom) -> Finding:
                return Finding(scorer="other@1", scores={self._type: 1.0}, contributes=True, hint="too")

        def said(heard: dict[str, Heard]) -> Diagnosis:
            fitted = replace(brain[0].fitted, accuracy={"sure@1": 0.8, "other@1": 0.8})
            return Diagnose(
                [Sure("network_timeout"), Other("quota_exceeded")],
                {"sure@1": 1.1, "other@1": 1.0},
                fitted,
                brain[1],
                small.taxonomy(),
                small.REGISTERED,
                dict,
                FrozenClock(NOW),
                heard=lambda: heard,
            ).diagnose(TIMEOUT)

        before = said({})
        assert before.type == "network_timeout"
        assert before.weighed(before.findings[0]) == ""
        after = said({"sure@1": Heard(right=2, judged=12), "other@1": Heard(right=10, judged=12)})
        assert after.type == "quota_exceeded"
        assert "right in 2 of 12 judged here" in after.weighed(after.findings[0])
