"""The diagnosis and what it is made of."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from app.diagnosis.weigh import Voice
from app.foundation.record import Record
from app.knowledge.playbook import Action

UNKNOWN = "unknown_error"
Probability = Annotated[float, Field(ge=0, le=1)]


class Symptom(Record):
    """What scorers may read: the message, the log that came with it, and where it came from.

    `incident_id` is empty when nothing is stored (`mendline diagnose "text"`).
    """

    incident_id: str = ""
    message: str
    log: str = ""
    system: str = ""
    kind: str = ""


class EvidenceKind(StrEnum):
    WORDS = "words"
    CASE = "case"
    RUNBOOK = "runbook"
    RULE = "rule"


class Evidence(Record):
    """Something a person can check: `ref` is a case id, `runbook#section`, or a rule's name.

    `quote` stands in the message, the case or the section as it is; `weight` says how much it
    counted, in the scorer's own unit; `says` adds what a person wants to know of it.
    """

    kind: EvidenceKind
    ref: str
    quote: str
    weight: float
    type: str = ""
    says: str = ""


class Finding(Record):
    """What one scorer says. `scores` are 0 to 1 per type, sum at most 1, not calibrated."""

    scorer: str
    scores: dict[str, Probability]
    contributes: bool
    hint: str
    evidence: tuple[Evidence, ...] = ()


class Ranked(Record):
    """A type and its probability."""

    type: str
    probability: Probability


class Choice(Record):
    """A strategy with its parameters, and the sum behind it: P(type) x P(success).

    `successes` of `trials` verified outcomes moved the prior to the posterior mean `success`.
    `runbook` is the `id#section` that recommends it, or empty; `people` is how many persons it wants to say yes.
    A playbook is chosen as `playbook:ID` of its runbook, with the `actions` as they stood there.
    """

    strategy: str
    params: dict[str, Any] = {}
    serves: str
    expected: Probability
    success: Probability
    successes: int = 0
    trials: int = 0
    because: str
    runbook: str = ""
    people: int = Field(0, ge=0, le=2)
    actions: tuple[Action, ...] = ()


class Diagnosis(Record):
    """`confidence` is the calibrated probability that `type` is right.

    `ranked` are all types, best first; `choices` the strategies weighed, best first, never
    empty; `runbook` is the cited `id#section` that counted most, or empty. `voices` are the weights with
    which the scorers counted.
    """

    id: str
    incident_id: str
    episode: int
    at: datetime
    type: str
    confidence: Probability
    ranked: tuple[Ranked, ...]
    choices: tuple[Choice, ...] = Field(min_length=1)
    runbook: str = ""
    excerpt: str
    findings: tuple[Finding, ...]
    scorer_set: str
    voices: tuple[Voice, ...] = ()
    milliseconds: float

    def weighed(self, finding: Finding) -> str:
        """With what weight this finding counted, where that is not the usual one; else empty."""
        voice = next((voice for voice in self.voices if voice.scorer == finding.scorer), None)
        return voice.says if voice and finding.contributes else ""

    @property
    def choice(self) -> Choice:
        """The strategy that was chosen."""
        return self.choices[0]
