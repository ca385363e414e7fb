"""The runbook: markdown with front matter, read from a folder that people keep in Git."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError

from app.foundation.record import Record
from app.knowledge.playbook import PLAYBOOK, Action, line_of, nearest, read_actions
from app.knowledge.signals import Signals, mistake
from app.knowledge.taxonomy import Taxonomy

SECTIONS = ("Symptoms", "Confirm", "Fix", "Verify", "Roll back", "Escalate", "Seen in")
# libyaml, where it is there: some ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FRONT = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.S)
_HEADING = re.compile(r"^(#{1,2})\s+(.+?)\s*$")
_FENCE = re.compile(r"^(`{3,}|~{3,})")
# What `mendline runbook new` leaves for a person to write.
_PLACE = re.compile(r"\(fill in ([^()\n]*)\)")
# The least approval that a strategy's risk demands.
_LEAST_APPROVAL = {"none": "auto", "low": "auto", "medium": "auto", "high": "one_person"}
_APPROVALS = ("auto", "one_person", "two_people")


class Section(Record):
    """One level-2 section; `line` is where its heading stands, from 1."""

    heading: str
    line: int
    text: str

    @property
    def anchor(self) -> str:
        """The heading as it is cited: `roll-back`."""
        return self.heading.lower().replace(" ", "-")


class _Front(Record):
    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    types: tuple[str, ...] = Field(min_length=1)
    signals: tuple[str, ...] = ()
    strategy: str
    params: dict[str, Any] = {}
    risk: Literal["low", "medium", "high"]
    approval: Literal["auto", "one_person", "two_people"]
    owner: str
    reviewed: date


class Runbook(_Front):
    """`types` best first; `signals` are RE2 expressions searched without regard to case.

    `actions` is its playbook, for which the strategy is `playbook`; most runbooks have none.
    """

    title: str
    sections: tuple[Section, ...]
    # Left out when there are none: what was fitted on runbooks without a playbook stays valid.
    actions: tuple[Action, ...] = Field((), exclude_if=lambda actions: not actions)

    def section(self, anchor: str) -> Section | None:
        """The section cited as `id#anchor`."""
        return next((section for section in self.sections if section.anchor == anchor), None)


class Mistake(Record):
    """One thing that is wrong in one file: its line, how to mend it, the line as it stands and the wrong word in it."""

    file: str
    line: int
    says: str
    shown: str = ""
    word: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.says}"

    @property
    def pointed(self) -> str:
        """The line with its number and, below it, a mark under the word; empty where there is no line to show."""
        if not self.shown.strip():
            return ""
        margin = f"{self.line:>5} | "
        at = self.shown.find(self.word) if self.word else -1
        mark = f"\n{' ' * (len(margin) - 2)}| {' ' * at}{'^' * len(self.word)}" if at >= 0 else ""
        return f"{margin}{self.shown}{mark}"


class _Page:
    """A file under reading: its lines, and what was found wrong so far, each mistake with its line from 1."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.split("\n")
        self.found: list[Mistake] = []

    def wrong(self, line: int, says: str, word: str = "") -> None:
        shown = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        self.found.append(Mistake(file=self.file, line=line, says=says, shown=shown[:200], word=word))

    def mistakes(self) -> list[Mistake]:
        """All of them by line; of a line that is still to be filled in, nothing else."""
        places = [
            (number, place[0], place[1])
            for number, line in enumerate(self.lines, 1)
            for place in _PLACE.finditer(line)
        ]
        open_lines = {number for number, _, _ in places}
        self.found = [one for one in self.found if one.line not in open_lines]
        for number, word, what in places:
            self.wrong(number, f"still to be filled in: {what}", word)
        return sorted(self.found, key=lambda one: one.line)


def _read_sections(body: str, first_line: int, page: _Page) -> tuple[str, list[Section]]:
    title, found, fence, opened = "", [], "", 0
    heading, start, lines = "", 0, []  # type: ignore[var-annotated]
    for number, line in enumerate(body.split("\n"), first_line):
        mark = _FENCE.match(line)
        match = None if fence else _HEADING.match(line)
        if mark and not fence:
            fence, opened = mark[1], number
        elif mark and mark[1].startswith(fence) and line.strip() == mark[1]:
            fence = ""
        if match and match.group(1) == "#" and not title:
            title = match.group(2)
        elif match and match.group(1) == "##":
            if heading:
                found.append(Section(heading=heading, line=start, text="\n".join(lines).strip()))
            heading, start, lines = match.group(2), number, []
        else:
            lines.append(line)
    if heading:
        found.append(Section(heading=heading, line=start, text="\n".join(lines).strip()))
    if fence:
        page.wrong(opened, f"the block is not closed with {fence}", fence)
    return title, found


def read_runbook(
    path: Path, taxonomy: Taxonomy, params: Mapping[str, type[Record]]
) -> tuple[Runbook | None, list[Mistake]]:
    """One file as a runbook, or None with all that is wrong in it.

    `params` are the parameter models of the strategies that are registered; a runbook may
    name no other strategy.
    """
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        says = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return None, [Mistake(file=path.name, line=1, says=f"cannot be read: {says}")]
    page = _Page(path.name, text)
    parts = _FRONT.match(text)
    front_text, body = (parts.group(1), parts.group(2)) if parts else (None, text)
    body_line = 1 if front_text is None else front_text.count("\n") + 4
    actions, mislaid = read_actions(body, body_line, taxonomy, params)
    front = None
    if front_text is None:
        page.wrong(1, "begins with front matter between two lines of ---")
    else:
        front = _read_front(front_text, path.stem, page, (actions, bool(mislaid)), taxonomy, params)
    for line, says in mislaid:
        page.wrong(line, says)
    title, sections = _read_sections(body, body_line, page)
    if not title:
        page.wrong(body_line, "a level-1 heading says what happened")
    _check_sections(sections, body_line, page)
    mistakes = page.mistakes()
    if mistakes or front is None:
        return None, mistakes
    return Runbook(**front.model_dump(), title=title, sections=tuple(sections), actions=actions), []


# What stands for keys that are wrong, while the others are looked at.
# Pydantic's words for these speak of Python; whoever writes such a file thinks in YAML.
_WORDS = {
    "tuple_type": "a list belongs here, as [network_timeout]",
    "string_type": "a word belongs here; put it in 'single quotes'",
    "date_from_datetime_parsing": "write a day as 2026-11-21",
    "date_parsing": "write a day as 2026-11-21",
}
_BLANK = {
    "id": "blank",
    "types": ("",),
    "strategy": "",
    "risk": "low",
    "approval": "two_people",
    "owner": "",
    "reviewed": date.min,
}


def _read_front(
    text: str,
    stem: str,
    page: _Page,
    body: tuple[tuple[Action, ...], bool],
    taxonomy: Taxonomy,
    params: Mapping[str, type[Record]],
) -> _Front | None:
    """The front matter, None when it cannot be read at all. `body` has the actions, and whether some are wrong."""
    try:
        loader = _LOADER(text)
        tree: Any = loader.get_single_node()
        data = loader.construct_document(tree) if tree else None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, like 2026-13-01
        mark = getattr(error, "problem_mark", None)
        page.wrong(mark.line + 2 if mark else 2, f"not YAML: {getattr(error, 'problem', None) or error}")
        return None
    if not isinstance(data, dict):
        page.wrong(2, "the front matter is a mapping of keys to values")
        return None

    def wrong(says: str, *loc: str | int, word: str = "") -> None:
        page.wrong(line_of(tree, loc) + 2, says, word)

    first: dict[str, int] = {}
    for node, _ in tree.value:
        line = node.start_mark.line + 2
        if first.setdefault(node.value, line) != line:
            page.wrong(line, f"the key {node.value!r} stands in line {first[node.value]} already", node.value)
    bad: set[str] = set()
    try:
        front = _Front.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        bad = {str(problem["loc"][0]) for problem in problems}
        for problem in problems:
            _told(problem, data, wrong)
        known = {key: data[key] for key in data if key in _Front.model_fields and key not in bad}
        front = _Front.model_validate(_BLANK | known)

    if "id" not in bad and front.id != stem:
        wrong(f"the id {front.id!r} is not the file's name {stem!r}", "id", word=front.id)
    for place, type_ in enumerate(front.types if "types" not in bad else ()):
        if type_ not in taxonomy.types:
            says = f"no such type: {type_!r}{nearest(type_, list(taxonomy.types))}"
            wrong(says, "types", place, word=type_)
    for place, signal in enumerate(front.signals):
        if reason := mistake(signal):
            wrong(f"the signal {signal!r} is no RE2 expression: {reason}", "signals", place, word=signal)
        elif Signals([signal]).search(""):
            wrong(f"the signal {signal!r} matches everything", "signals", place, word=signal)
    if "strategy" not in bad:
        _check_strategy(front, body, wrong, taxonomy, params, "approval" in bad)
    return front


_Wrong = Callable[..., None]


def _told(problem: Any, data: Mapping[str, Any], wrong: _Wrong) -> None:
    """One thing that the front matter's form forbids, in words."""
    loc, key = problem["loc"], str(problem["loc"][0])
    fields = list(_Front.model_fields)
    if problem["type"] == "extra_forbidden":
        wrong(f"unknown key {key!r}{nearest(key, fields)}", key, word=key)
    elif problem["type"] == "missing":
        strangers = [str(other) for other in data if other not in fields]
        if not difflib.get_close_matches(key, strangers, n=1, cutoff=0.5):  # else that one is told of already
            wrong(f"the key {key!r} is missing", key)
    elif problem["type"] == "literal_error":
        known = get_args(_Front.model_fields[key].annotation)
        given = str(problem["input"])
        wrong(f"{key}: no such value {given!r}{nearest(given, known)}", key, word=given)
    else:
        wrong(f"{'.'.join(map(str, loc))}: {_WORDS.get(problem['type'], problem['msg'])}", *loc)


def _check_strategy(
    front: _Front,
    body: tuple[tuple[Action, ...], bool],
    wrong: _Wrong,
    taxonomy: Taxonomy,
    params: Mapping[str, type[Record]],
    approval_is_bad: bool,
) -> None:
    actions, mislaid = body
    model = params.get(front.strategy)
    if actions and front.strategy != PLAYBOOK:
        wrong(f"the action blocks only run with `strategy: {PLAYBOOK}`", "strategy")
    if front.strategy == PLAYBOOK:
        if not actions and not mislaid:
            wrong("a playbook has at least one block ```action", "strategy")
        if front.params:
            wrong("the parameters of a playbook stand in its actions", "params")
    elif model is None:
        says = f"no strategy {front.strategy!r} is registered{nearest(front.strategy, [*params, PLAYBOOK])}"
        wrong(says, "strategy", word=front.strategy)
    else:
        try:
            model.model_validate(front.params)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                name = str(problem["loc"][0]) if problem["loc"] else ""
                says = f"params.{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
                if problem["type"] == "extra_forbidden":
                    says = f"{front.strategy} takes no parameter {name!r}{nearest(name, list(model.model_fields))}"
                wrong(says, "params", *problem["loc"], word=name)
    for strategy in dict.fromkeys([front.strategy, *(action.strategy for action in actions)]):
        entry = taxonomy.strategies.get(strategy)
        if entry is None or approval_is_bad:
            continue
        least = least_approval(entry.risk)
        if _APPROVALS.index(front.approval) < _APPROVALS.index(least):
            says = f"{strategy} has {entry.risk} risk and needs at least {least}"
            wrong(says, "approval", word=front.approval)


def least_approval(risk: str) -> str:
    """The least that a runbook may ask for a strategy of this risk."""
    return _LEAST_APPROVAL.get(risk, "auto")


def _check_sections(sections: Sequence[Section], body_line: int, page: _Page) -> None:
    headings = [section.heading for section in sections]
    meant: set[str] = set()
    for place, section in enumerate(sections):
        heading = section.heading
        if heading not in SECTIONS:
            meant.update(difflib.get_close_matches(heading, SECTIONS, n=1, cutoff=0.5))
            says = f"no section is called {heading!r}{nearest(heading, SECTIONS)}"
            page.wrong(section.line, says, heading)
        elif heading in headings[:place]:
            page.wrong(section.line, f"the section {heading!r} stands twice", heading)
        if not section.text:
            page.wrong(section.line, f"the section {heading!r} is empty", heading)
    missing = [heading for heading in SECTIONS if heading not in headings and heading not in meant]
    if missing:
        page.wrong(body_line, f"sections are missing: {', '.join(missing)}")
    if sorted(headings) == sorted(SECTIONS) and headings != list(SECTIONS):
        astray = next(s for s, wanted in zip(sections, SECTIONS, strict=True) if s.heading != wanted)
        says = f"the sections stand in this order: {', '.join(SECTIONS)}"
        page.wrong(astray.line, says, astray.heading)


def overdue(runbook: Runbook, today: date) -> bool:
    """Whether nobody has reviewed it for a year."""
    return today - runbook.reviewed > timedelta(days=365)
