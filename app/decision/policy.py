"""The policy: a site's own rules of what may act alone, read from `policy.yaml`.

    rules:
      - name: quiet-nights
        when: {environment: production, risk: [medium, high], hours: "22:00-06:00", days: [fri, sat]}
        then: ask
        because: nobody is awake to look

A rule matches when everything under `when` does; each matcher is a value or a list of values, one
of which must fit. All rules that match count and the strictest wins, so neither their order nor an
`allow` can soften another rule. A policy that cannot be read is never an older policy that could
be: the gate asks until it is mended.
"""

import difflib
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Protocol

import yaml
from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from app.decision.decision import Allows, Situation
from app.decision.plan import Plan, Risk
from app.foundation.errors import Invalid
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
        incident, plan, diagnosis = situation.incident, situation.plan, situation.diagnosis
        target = incident.target
        return (
            _fits(self.type, diagnosis.type)
            and _fits(self.strategy, *plan.strategies)
            and _fits(self.target, *plan.targets, target.key)
            and _fits(self.system, target.system)
            and _fits(self.environment, target.environment)
            and _fits(self.owner, target.owner)
            and _fits(self.source, incident.source)
            and (not self.severity or incident.severity in self.severity)
            and (not self.risk or bool({plan.risk, counted_risk(plan)} & set(self.risk)))
            and (self.confidence_below is None or diagnosis.confidence < self.confidence_below)
            and self._at(now)
        )

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


class Rule(Record):
    """One line of the policy; `because` is shown to whoever is asked or blocked."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    when: When = When()
    then: Allows
    because: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Policy(Record):
    """The rules in the file's order; none at all leaves everything to the other gates."""

    rules: tuple[Rule, ...]

    def matching(self, situation: Situation, now: datetime) -> tuple[Rule, ...]:
        """Every rule that speaks of this situation at this time."""
        return tuple(rule for rule in self.rules if rule.when.matches(situation, now))


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


class PolicyFile:
    """The policy in a file; looks at the file's change time and size at each question."""

    def __init__(self, path: Path, taxonomy: Taxonomy) -> None:
        """Opens nothing yet. `taxonomy` knows the types and strategies that rules may name."""
        self._path = path
        self._taxonomy = taxonomy
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._read: Policy | Invalid | None = None

    def read(self) -> Policy:
        """The file's policy; raises Invalid with the places when it is missing or wrong."""
        with self._lock:
            try:
                stat = self._path.stat()
                stamp = (stat.st_mtime_ns, stat.st_size)
                if self._read is None or stamp != self._stamp:
                    self._read = self._look()
                    self._stamp = stamp
            except OSError as error:
                self._read = None
                raise Invalid(f"{self._path} cannot be read: {error.strerror or error}") from None
            if isinstance(self._read, Invalid):
                raise Invalid(self._read.says, places=self._read.places)
            return self._read

    def _look(self) -> Policy | Invalid:
        try:
            return read_policy(self._path, self._taxonomy)
        except Invalid as error:
            return error


def read_policy(path: Path, taxonomy: Taxonomy) -> Policy:
    """Reads the file; raises OSError, or Invalid with all that is wrong, each with its line."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        places = _repeated(tree)
    except UnicodeDecodeError:
        raise Invalid(f"{path.name} is not UTF-8", places=(("(whole)", "save it as UTF-8"),)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "(whole)"
        says = getattr(error, "problem", None) or str(error)
        raise Invalid(f"{path.name} is not YAML", places=((place, says),)) from None
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        # A misspelt key is also a missing one; the spelling is what to mend, so it comes first.
        problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] == "missing")
        places += [(_place(tree, problem["loc"]), _mistake(problem)) for problem in problems]
    else:
        places += [(_place(tree, loc), says) for loc, says in _strangers(policy, taxonomy)]
    if places:
        raise Invalid(f"{path.name} is not valid", places=places)
    return policy


_KEYS = {0: tuple(Policy.model_fields), 2: tuple(Rule.model_fields), 3: tuple(When.model_fields)}
_VALUES: dict[str, type[StrEnum]] = {"then": Allows, "severity": Severity, "days": Day, "risk": Risk}
# Pydantic's words for these speak of Python; whoever writes a policy thinks in YAML.
_WORDS = {
    "model_type": "keys with values belong here, as `rules:` with a list under it",
    "tuple_type": "a list belongs here",
    "string_type": "a word belongs here; put it in quotes",
    "too_short": "the list is empty; leave the key out to match everything",
}


def _mistake(problem: Mapping[str, Any]) -> str:
    kind, loc = problem["type"], problem["loc"]
    if kind == "extra_forbidden":
        return f"unknown key {loc[-1]!r}{_nearest(str(loc[-1]), _KEYS[len(loc) - 1])}"
    if kind == "enum":
        known = next(_VALUES[part] for part in reversed(loc) if part in _VALUES)
        return f"no such value: {problem['input']!r}{_nearest(str(problem['input']), known)}"
    if kind == "missing":
        return f"{loc[-1]!r} is missing"
    return _WORDS.get(kind) or str(problem["msg"]).removeprefix("Value error, ")


def _strangers(policy: Policy, taxonomy: Taxonomy) -> list[tuple[tuple[str | int, ...], str]]:
    """Names that no type or strategy has (a glob must fit one), and rules of the same name."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    names: set[str] = set()
    for index, rule in enumerate(policy.rules):
        if rule.name in names:
            found.append((("rules", index, "name"), f"another rule is called {rule.name!r} too"))
        names.add(rule.name)
        for key, patterns, known in (
            ("type", rule.when.type, tuple(taxonomy.types)),
            ("strategy", rule.when.strategy, tuple(taxonomy.strategies)),
        ):
            found += [
                (("rules", index, "when", key, nth), f"no such {key}: {pattern!r}{_nearest(pattern, known)}")
                for nth, pattern in enumerate(patterns)
                if not any(_fits((pattern,), name) for name in known)
                # Playbooks come and go with their runbooks.
                and not (key == "strategy" and pattern.startswith(f"{PLAYBOOK}:"))
            ]
    return found


def _nearest(word: str, known: Iterable[str]) -> str:
    names = [str(name) for name in known]
    close = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"


def _place(tree: yaml.Node | None, loc: Sequence[str | int]) -> str:
    """`line 7 (rules.0.when.type)`: the line of the deepest part of `loc` that stands in the file."""
    node, line = tree, tree.start_mark.line if tree else 0
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return f"line {line + 1} ({'.'.join(map(str, loc)) or 'whole file'})"


def _repeated(node: yaml.Node | None) -> list[tuple[str, str]]:
    """Keys that stand twice in one mapping: YAML would silently take the last, perhaps the milder."""
    found: list[tuple[str, str]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen:
                found.append((f"line {key.start_mark.line + 1}", f"{key.value!r} stands here a second time"))
            seen.add(str(key.value))
            found += _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _repeated(item)
    return found
