"""The runbook: markdown with front matter, read from a folder that people keep in Git."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from app.foundation.record import Record
from app.knowledge.playbook import PLAYBOOK, Action, nearest, read_actions
from app.knowledge.signals import mistake
from app.knowledge.taxonomy import Taxonomy

SECTIONS = ("Symptoms", "Confirm", "Fix", "Verify", "Roll back", "Escalate", "Seen in")
# libyaml, where it is there: some ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FRONT = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.S)
_HEADING = re.compile(r"^(#{1,2})\s+(.+?)\s*$")
_FENCE = re.compile(r"^(```|~~~)")
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
    """One thing that is wrong in one file, with its line and how to mend it."""

    file: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.says}"


def _line_of(front: str, key: str) -> int:
    for number, line in enumerate(front.split("\n"), 2):
        if re.match(rf"\s*-?\s*[\"']?{re.escape(key)}\b", line):
            return number
    return 2


def _read_sections(body: str, first_line: int) -> tuple[str, list[Section]]:
    title, found, fenced = "", [], False
    heading, start, lines = "", 0, []  # type: ignore[var-annotated]
    for number, line in enumerate(body.split("\n"), first_line):
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
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
    return title, found


def read_runbook(
    path: Path, taxonomy: Taxonomy, params: Mapping[str, type[Record]]
) -> tuple[Runbook | None, list[Mistake]]:
    """One file as a runbook, or None with all that is wrong in it.

    `params` are the parameter models of the strategies that are registered; a runbook may
    name no other strategy.
    """
    name = path.name
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        return None, [Mistake(file=name, line=1, says=f"cannot be read: {error}")]
    parts = _FRONT.match(text)
    if not parts:
        return None, [Mistake(file=name, line=1, says="begins with front matter between two lines of ---")]
    front_text, body = parts.group(1), parts.group(2)
    body_line = front_text.count("\n") + 4
    try:
        data = yaml.load(front_text, _LOADER)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, like 2026-13-01
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 2
        return None, [Mistake(file=name, line=line, says=f"not YAML: {getattr(error, 'problem', error)}")]
    if not isinstance(data, dict):
        return None, [Mistake(file=name, line=2, says="the front matter is a mapping of keys to values")]

    mistakes: list[Mistake] = []
    try:
        front = _Front.model_validate(data)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            says = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            if problem["type"] == "extra_forbidden":
                says = f"unknown key {key!r}{nearest(key, list(_Front.model_fields))}"
            mistakes.append(Mistake(file=name, line=_line_of(front_text, key), says=says))
        return None, mistakes

    def wrong(key: str, says: str) -> None:
        mistakes.append(Mistake(file=name, line=_line_of(front_text, key), says=says))

    if front.id != path.stem:
        wrong("id", f"the id {front.id!r} is not the file's name {path.stem!r}")
    for type_ in front.types:
        if type_ not in taxonomy.types:
            wrong("types", f"no such type: {type_!r}{nearest(type_, list(taxonomy.types))}")
    for signal in front.signals:
        if reason := mistake(signal):
            wrong("signals", f"the signal {signal!r} is no RE2 expression: {reason}")
    actions, mislaid = read_actions(body, body_line, taxonomy, params)
    mistakes += [Mistake(file=name, line=line, says=says) for line, says in mislaid]
    model = params.get(front.strategy)
    if actions and front.strategy != PLAYBOOK:
        wrong("strategy", f"the action blocks only run with `strategy: {PLAYBOOK}`")
    if front.strategy == PLAYBOOK:
        if not actions and not mislaid:
            wrong("strategy", "a playbook has at least one block ```action")
        if front.params:
            wrong("params", "the parameters of a playbook stand in its actions")
    elif model is None:
        wrong(
            "strategy",
            f"no strategy {front.strategy!r} is registered{nearest(front.strategy, list(params))}",
        )
    else:
        try:
            model.model_validate(front.params)
        except ValidationError as error:
            for problem in error.errors():
                place = ".".join(map(str, problem["loc"]))
                hint = ""
                if problem["type"] == "extra_forbidden":
                    hint = nearest(str(problem["loc"][0]), list(model.model_fields))
                wrong("params", f"params.{place}: {problem['msg']}{hint}")
    for strategy in dict.fromkeys([front.strategy, *(action.strategy for action in actions)]):
        entry = taxonomy.strategies.get(strategy)
        if entry and _APPROVALS.index(front.approval) < _APPROVALS.index(_LEAST_APPROVAL[entry.risk]):
            least = _LEAST_APPROVAL[entry.risk]
            wrong("approval", f"{strategy} has {entry.risk} risk and needs at least {least}")

    title, sections = _read_sections(body, body_line)
    if not title:
        mistakes.append(Mistake(file=name, line=body_line, says="a level-1 heading says what happened"))
    headings = [section.heading for section in sections]
    if headings != list(SECTIONS):
        for section in sections:
            if section.heading not in SECTIONS:
                says = f"no section is called {section.heading!r}{nearest(section.heading, list(SECTIONS))}"
                mistakes.append(Mistake(file=name, line=section.line, says=says))
        missing = [heading for heading in SECTIONS if heading not in headings]
        if missing:
            says = f"sections are missing: {', '.join(missing)}"
            mistakes.append(Mistake(file=name, line=body_line, says=says))
        elif sorted(headings) == sorted(SECTIONS):
            says = f"the sections stand in this order: {', '.join(SECTIONS)}"
            mistakes.append(Mistake(file=name, line=sections[0].line, says=says))
        elif len(headings) != len(set(headings)):
            mistakes.append(Mistake(file=name, line=sections[0].line, says="a section stands twice"))
    mistakes += [
        Mistake(file=name, line=section.line, says=f"the section {section.heading!r} is empty")
        for section in sections
        if not section.text
    ]
    if mistakes:
        return None, sorted(mistakes, key=lambda mistake: mistake.line)
    return Runbook(**front.model_dump(), title=title, sections=tuple(sections), actions=actions), []


def read_runbooks(
    folder: Path, taxonomy: Taxonomy, params: Mapping[str, type[Record]]
) -> tuple[list[Runbook], list[Mistake]]:
    """All runbooks of a folder that are whole, and what is wrong with the others."""
    runbooks: list[Runbook] = []
    mistakes: list[Mistake] = []
    for path in sorted(folder.glob("*.md")):
        if path.name.lower() == "readme.md":
            continue
        runbook, wrong = read_runbook(path, taxonomy, params)
        mistakes += wrong
        if runbook:
            runbooks.append(runbook)
    return runbooks, mistakes


def overdue(runbook: Runbook, today: date) -> bool:
    """Whether nobody has reviewed it for a year."""
    return today - runbook.reviewed > timedelta(days=365)
