"""The decision, and the verdicts it is made of."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol

from pydantic import Field, field_validator

from app.decision.guarantee import Judged
from app.decision.plan import Plan
from app.diagnosis.diagnosis import Diagnosis
from app.foundation.record import Record
from app.incidents.incident import Incident


class Effect(StrEnum):
    """What happens next. IGNORE: nothing, the incident is no longer open.

    SHADOW: it would act or ask, but only records that and leaves the incident to a person.
    """

    ACT = "act"
    ASK = "ask"
    SHADOW = "shadow"
    ESCALATE = "escalate"
    IGNORE = "ignore"


class Allows(StrEnum):
    """A gate's answer, from mild to strict. BLOCK escalates: not even a person's yes lets this plan run now."""

    ALLOW = "allow"
    ASK = "ask"
    BLOCK = "block"


class Verdict(Record):
    """What one gate says; `reason` is a code like `cooldown.recently_tried`, `says` a sentence.

    `until` is when it may change by itself, if that is known. Where it asks, `people` is how many different
    persons must say yes, and `not_by_author` keeps whoever made the change that failed from being one of them.
    """

    gate: str
    allows: Allows
    reason: str
    says: str
    until: datetime | None = None
    people: int = Field(1, ge=1, le=2)
    not_by_author: bool = False


class Attempt(Record):
    """A repair that was begun: on which target, with what, when, and how it ended (None: under way).

    `actions` are the strategy and target of each action of a playbook that ran, or may yet run.
    """

    remediation_id: str
    incident_id: str
    target: str
    strategy: str
    started_at: datetime
    ended: str | None
    ended_at: datetime | None = None
    # Left out when there are none, as they are in what was recorded before there were any.
    actions: tuple[tuple[str, str], ...] = Field((), exclude_if=lambda actions: not actions)

    @property
    def deeds(self) -> tuple[tuple[str, str], ...]:
        """What it did with which target: its own strategy and target, then those of its actions."""
        return ((self.strategy, self.target), *self.actions)

    def times_on(self, target: str) -> int:
        """How often it acts on this target: each action there counts, and a repair once on its own target."""
        if not self.actions:
            return int(self.target == target)
        return sum(on == target for _, on in self.actions) or int(self.target == target)

    def times_with(self, strategy: str) -> int:
        """How often it acts with this strategy."""
        if not self.actions:
            return int(self.strategy == strategy)
        return sum(name == strategy for name, _ in self.deeds)


class Situation(Record):
    """All that gates may look at.

    attempts     the repairs of the last hour and those that have not ended, of all targets, and those of the
                 plan's targets of the last 24 hours, in time order. A playbook is one of each target that
                 it acted on.
    trials       how the newest repairs with the plan's strategy ended, of any age, in time order.
    judged       whether acting with the plan's strategy was right: outcomes, and shadow verdicts.
    group        the keys of the registered targets of the plan's group, its own among them.
    groups       the same of a playbook's other targets, by target.
    approved_by  who approved this very plan, in words; gates that only ask then let it pass.
    approvers    how many different persons these are, where more than one was asked for.
    shadow       why this is only to be recorded, empty when it is live.

    The incident comes without its free text: no gate is moved by words of an event, and what was
    seen stays small enough to be kept with each decision.
    """

    incident: Incident
    diagnosis: Diagnosis
    plan: Plan
    attempts: tuple[Attempt, ...] = ()
    trials: tuple[Attempt, ...] = ()
    judged: tuple[Judged, ...] = ()
    group: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field({}, exclude_if=lambda groups: not groups)
    paused: str = ""
    approved_by: str = ""
    approvers: int = Field(0, ge=0)
    shadow: str = ""

    @field_validator("incident")
    @classmethod
    def _without_text(cls, incident: Incident) -> Incident:
        return incident.model_copy(update={"title": "", "message": "", "template": "", "why": ()})


class Gate(Protocol):
    """One condition of acting alone."""

    id: ClassVar[str]

    def check(self, situation: Situation, now: datetime) -> Verdict:
        """Pure: reads the situation, changes nothing."""
        ...


class Decision(Record):
    """What was decided and why. `plan` is None where no strategy applied.

    `considered` says of each strategy that was weighed and not taken, why.
    """

    id: str
    incident_id: str
    episode: int
    diagnosis_id: str
    at: datetime
    effect: Effect
    strategy: str
    plan: Plan | None
    verdicts: tuple[Verdict, ...]
    considered: tuple[str, ...] = ()
    says: str

    @property
    def people(self) -> int:
        """How many different persons must say yes before it may run."""
        return max((v.people for v in self.verdicts if v.allows is Allows.ASK), default=1)

    @property
    def not_by_author(self) -> bool:
        """Whether the author of the change that failed may not say yes."""
        return any(v.not_by_author for v in self.verdicts if v.allows is Allows.ASK)

    @property
    def would(self) -> Effect:
        """The effect that it has when it is live."""
        if self.effect is not Effect.SHADOW:
            return self.effect
        asks = any(verdict.allows is not Allows.ALLOW for verdict in self.verdicts)
        return Effect.ASK if asks else Effect.ACT
