"""The port of a scorer."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from app.diagnosis.diagnosis import Finding, Symptom


class Scorer(Protocol):
    """One voice on what kind of failure this is; silent when it has nothing to say."""

    id: ClassVar[str]
    version: ClassVar[str]

    def score(self, symptom: Symptom) -> Finding:
        """Same input, same output; never changes its input; abstaining is a result, not an error."""
        ...


class Judge(Scorer, Protocol):
    """A scorer that is asked last, and only to choose between what the others find likely."""

    def judge(self, symptom: Symptom, candidates: Sequence[str]) -> Finding:
        """As `score`, over `candidates` alone."""
        ...


def named(scorer: Scorer) -> str:
    """`id@version`, as findings and scorer sets record it."""
    return f"{scorer.id}@{scorer.version}"


def silent(scorer: Scorer, why: str) -> Finding:
    """The finding of a scorer that abstains."""
    return Finding(scorer=named(scorer), scores={}, contributes=False, hint=why)


def shares(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores to six decimals, rounded down: to the nearest, many of them would sum to more than 1."""
    return {type_: math.floor(score * 1e6) / 1e6 for type_, score in scores.items()}
