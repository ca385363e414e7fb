"""Diagnosing as told: a double for machines and tests that want the engine without models."""

from app.diagnosis.diagnose import Diagnose
from app.diagnosis.diagnosis import Choice, Diagnosis, Ranked, Symptom
from app.foundation.clock import Clock


class ToldDiagnose(Diagnose):
    """Gives every incident the same type, surely, and the same strategy."""

    def __init__(self, type_: str, strategy: str, clock: Clock) -> None:
        self._type = type_
        self._strategy = strategy
        self._clock = clock
        self.scorer_set = "told"

    def diagnose(self, symptom: Symptom, episode: int = 1, diagnosis_id: str = "") -> Diagnosis:
        choice = Choice(strategy=self._strategy, serves=self._type, expected=1, success=1, because="told so")
        return Diagnosis(
            id=diagnosis_id,
            incident_id=symptom.incident_id,
            episode=episode,
            at=self._clock.now(),
            type=self._type,
            confidence=1,
            ranked=(Ranked(type=self._type, probability=1),),
            choices=(choice, choice.model_copy(update={"strategy": "escalate_to_human", "expected": 0})),
            excerpt=symptom.message,
            findings=(),
            scorer_set=self.scorer_set,
            milliseconds=0,
        )
