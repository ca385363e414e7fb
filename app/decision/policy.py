"""The policy: a site's own rules of what may act alone, read from `policy.yaml`.

    rules:
      - name: quiet-nights
        when: {environment: production, risk: [medium, high], hours: "22:00-06:00", days: [fri, sat]}
        then: ask
        people: 2
        because: nobody is awake to look
    trust:
      - name: harmless
        when: {strategy: retry_with_exponential_backoff}
        because: running these jobs again has never hurt

A rule matches when everything under `when` does; each matcher is a value or a list of values, one
of which must fit. All rules that match count and the strictest wins, so neither their order nor an
`allow` can soften another rule. `trust` lets a strategy run alone whose outcomes do not prove it yet;
it softens no rule and no other gate. A policy that cannot be read is never an older policy that could
be: the gate asks until it is mended.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from app.decision.decision import Allows, Situation
from app.decision.plan import Plan, Risk
from app.foundation.reading import Loc, Watched, nearest, read_record
from app.foundation.record import Record
from app.intake.event import Severity
from app.knowledge.playbook import PLAYBOOK
from app.knowledge.taxonomy import Taxonomy


class Day(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Hours(Record):
    """A span of the day in UTC, `after` included, `before` not; the other way round it goes over midnight."""

    after: time
    before: time

    @property
    def wraps(self) -> bool:
        """Whether it ends on the day after it began."""
        return self.before <= self.after

    def began(self, now: datetime) -> datetime | None:
        """A moment of the day on which the span around `now` began; None outside of it."""
        at = now.timetz().replace(tzinfo=None)
        if not self.wraps:
            return now if self.after <= at < self.before else None
        if at >= self.after:
            return now
        return now - timedelta(days=1) if at < self.before else None


_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_SPAN = re.compile(rf"({_CLOCK})\s*-\s*({_CLOCK}|24:00)")


def _hours(given: object) -> object:
    if isinstance(given, Hours):
        return given
    span = _SPAN.fullmatch(given.strip()) if isinstance(given, str) else None
    if span is None:
        raise ValueError("write hours as 22:00-06:00, in UTC")
    first, last = span.groups()
    if first == last:
        raise ValueError("begins and ends at the same time; leave hours out to mean the whole day")
    # 24:00 is what people write for the end of a day; as a time it is the next day's midnight.
    return Hours(after=time.fromisoformat(first), before=time.fromisoformat(last.replace("24:", "00:")))


def _listed(given: object) -> object:
    return given if isinstance(given, list | tuple) else (given,)


_Many = (BeforeValidator(_listed), Field(min_length=1))
Words = Annotated[tuple[str, ...], *_Many]


class When(Record):
    """What a rule looks at; empty means that it does not look there.

    Words may be globs and are compared without regard to case. `target` is compared with the key
    (`system/kind/name@environment`) of all that the plan acts on and of what failed; `strategy` with the
    plan's own and, in a playbook (`playbook:ID`), with those of its actions. `days` are those
    on which the hours began: `days: fri` with `22:00-06:00` holds until Saturday morning.
    `risk` fits the plan's own risk and the one it counts as when nothing can be undone.
    """

    type: Words = ()
    strategy: Words = ()
    target: Words = ()
    system: Words = ()
    environment: Words = ()
    owner: Words = ()
    source: Words = ()
    severity: Annotated[tuple[Severity, ...], *_Many] = ()
    hours: Annotated[tuple[Annotated[Hours, BeforeValidator(_hours)], ...], *_Many] = ()
    days: Annotated[tuple[Day, ...], *_Many] = ()
    confidence_below: float | None = Field(None, gt=0, le=1)
    risk: Annotated[tuple[Risk, ...], *_Many] = ()

    def matches(self, situation: Situation, now: datetime) -> bool:
        """Whether all of it fits."""
        return not self.misfits(situation, now)

    def misfits(self, situation: Situation, now: datetime) -> tuple[str, ...]:
        """What does not fit, in words: `environment is 'staging'`."""
        incident, plan, diagnosis = situation.incident, situation.plan, situation.diagnosis
        target = incident.target
        words: tuple[tuple[str, Words, tuple[str, ...]], ...] = (
            ("type", self.type, (diagnosis.type,)),
            ("strategy", self.strategy, plan.strategies),
            ("target", self.target, (*plan.targets, target.key)),
            ("system", self.system, (target.system,)),
            ("environment", self.environment, (target.environment,)),
            ("owner", self.owner, (target.owner,)),
            ("source", self.source, (incident.source,)),
        )
        found = [
            f"{key} is {' and '.join(map(repr, dict.fromkeys(here)))}"
            for key, patterns, here in words
            if not _fits(patterns, *here)
        ]
        if self.severity and incident.severity not in self.severity:
            found.append(f"severity is {incident.severity}")
        if self.risk and not {plan.risk, counted_risk(plan)} & set(self.risk):
            found.append(f"risk is {plan.risk}")
        if self.confidence_below is not None and diagnosis.confidence >= self.confidence_below:
            found.append(f"confidence is {diagnosis.confidence:g}")
        if not self._at(now):
            found.append(f"it is {tuple(Day)[now.astimezone(UTC).weekday()]} {now.astimezone(UTC):%H:%M} UTC")
        return tuple(found)

    def _at(self, now: datetime) -> bool:
        now = now.astimezone(UTC)
        began = [span.began(now) for span in self.hours] if self.hours else [now]
        return any(
            day is not None and (not self.days or tuple(Day)[day.weekday()] in self.days) for day in began
        )


def _fits(patterns: Sequence[str], *words: str) -> bool:
    return not patterns or any(
        fnmatchcase(word.casefold(), pattern.casefold()) for pattern in patterns for word in words
    )


def counted_risk(plan: Plan) -> Risk:
    """The plan's risk, one level higher when nothing can be undone (low counts as medium, medium as high)."""
    raised = {Risk.LOW: Risk.MEDIUM, Risk.MEDIUM: Risk.HIGH}
    return raised.get(plan.risk, plan.risk) if plan.undo is None else plan.risk


Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Because = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Rule(Record):
    """One line of the policy; `because` is shown to whoever is asked or blocked.

    Where it asks, `people` is how many different persons must say yes, and `not_by: author` keeps out whoever
    made the change that failed, as the event's labels name them.
    """

    name: Name
    when: When = When()
    then: Allows
    people: int = Field(1, ge=1, le=2)
    not_by: Literal["author"] | None = None
    because: Because

    @model_validator(mode="after")
    def _people_are_asked(self) -> "Rule":
        if (self.people > 1 or self.not_by) and self.then is not Allows.ASK:
            raise ValueError("people are only asked by a rule that says `then: ask`")
        return self


class Trust(Record):
    """What may run alone before outcomes have proven it, because a person says so."""

    name: Name
    when: When = When()
    because: Because

    def misfits(self, situation: Situation, now: datetime) -> tuple[str, ...]:
        """What does not fit. Of two risks the higher counts: trust is not widened by a plan without undo."""
        counted = counted_risk(situation.plan)
        raised = bool(self.when.risk) and counted not in self.when.risk
        risk = (f"risk counts as {counted}",) if raised else ()
        return tuple(dict.fromkeys((*self.when.misfits(situation, now), *risk)))


class Spoken(Record):
    """What one entry says of a situation: `then` where nothing misfits."""

    name: str
    then: str
    because: str
    misfits: tuple[str, ...]


class Policy(Record):
    """The rules and the trust in the file's order; without a rule everything is left to the other gates."""

    rules: tuple[Rule, ...]
    trust: tuple[Trust, ...] = ()

    def matching(self, situation: Situation, now: datetime) -> tuple[Rule, ...]:
        """Every rule that speaks of this situation at this time."""
        return tuple(rule for rule in self.rules if rule.when.matches(situation, now))

    def trusting(self, situation: Situation, now: datetime) -> Trust | None:
        """The first entry that trusts this plan here."""
        return next((trust for trust in self.trust if not trust.misfits(situation, now)), None)

    def speaks(self, situation: Situation, now: datetime) -> list[Spoken]:
        """Every entry, and why it does not match."""
        rules = [
            Spoken(
                name=rule.name,
                then=f"{rule.then} two persons" if rule.people > 1 else rule.then.value,
                because=rule.because,
                misfits=rule.when.misfits(situation, now),
            )
            for rule in self.rules
        ]
        return rules + [
            Spoken(name=one.name, then="trust", because=one.because, misfits=one.misfits(situation, now))
            for one in self.trust
        ]


class PolicySource(Protocol):
    """Where the policy gate takes its policy from."""

    def read(self) -> Policy:
        """The policy in force now. Raises Invalid, saying what is wrong, when there is none."""
        ...


class FixedPolicy:
    """A policy that is at hand, not in a file: for replaying a changed one, and for tests."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def read(self) -> Policy:
        return self._policy


class PolicyFile(Watched[Policy]):
    """The policy in a file, read again when it changes."""

    def __init__(self, path: Path, taxonomy: Taxonomy) -> None:
        """Opens nothing yet. `taxonomy` knows the types and strategies that rules may name."""
        super().__init__(lambda: [path], lambda: read_policy(path, taxonomy))


def read_policy(path: Path, taxonomy: Taxonomy) -> Policy:
    """Reads the file; raises OSError, or Invalid with all that is wrong, each with its line."""

    def strangers(policy: Policy) -> list[tuple[Loc, str]]:
        return [*named_once("rules", policy.rules, taxonomy), *named_once("trust", policy.trust, taxonomy)]

    return read_record(path, Policy, strangers)


class Named(Protocol):
    """What has a name and a place where it holds."""

    @property
    def name(self) -> str: ...
    @property
    def when(self) -> When: ...


def named_once(part: str, entries: Sequence[Named], taxonomy: Taxonomy) -> list[tuple[Loc, str]]:
    """Names that no type or strategy has (a glob must fit one), and entries of the same name."""
    found: list[tuple[Loc, str]] = []
    names: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.name in names:
            found.append(((part, index, "name"), f"another one is called {entry.name!r} too"))
        names.add(entry.name)
        for key, patterns, known in (
            ("type", entry.when.type, tuple(taxonomy.types)),
            ("strategy", entry.when.strategy, tuple(taxonomy.strategies)),
        ):
            found += [
                ((part, index, "when", key, nth), f"no such {key}: {pattern!r}{nearest(pattern, known)}")
                for nth, pattern in enumerate(patterns)
                if not any(_fits((pattern,), name) for name in known)
                # Playbooks come and go with their runbooks.
                and not (key == "strategy" and pattern.startswith(f"{PLAYBOOK}:"))
            ]
    return found
