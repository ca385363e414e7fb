"""The port of a scorer."""

from typing import ClassVar, Protocol

from app.diagnosis.diagnosis import Finding, Symptom


class Scorer(Protocol):
    """One voice on what kind of failure this is; silent when it has nothing to say."""

    id: ClassVar[str]
    version: ClassVar[str]

    def score(self, symptom: Symptom) -> Finding:
        """Same input, same output; never changes its input; abstaining is a result, not an error."""
        ...


def named(scorer: Scorer) -> str:
    """`id@version`, as findings and scorer sets record it."""
    return f"{scorer.id}@{scorer.version}"


def silent(scorer: Scorer, why: str) -> Finding:
    """The finding of a scorer that abstains."""
    return Finding(scorer=named(scorer), scores={}, contributes=False, hint=why)
