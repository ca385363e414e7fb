"""The playbook: the fenced `action` blocks of a runbook, which run in the file's order.

    ```action
    strategy: run_deduplication_script
    target: warehouse
    params: {keep: last}
    when: {environment: [staging, production], confidence_at_least: 0.8, results: {1: verified}}
    retry: {times: 2, wait: 30}
    timeout: 600
    on_error: undo
    ```

Only `strategy` must be given. Conditions are plain matchers, like those of the policy: what they can
look at is little, a wrong word is found when the file is read, and nothing in it is evaluated.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from app.foundation.record import Record
from app.knowledge.taxonomy import Taxonomy

PLAYBOOK = "playbook"
ESCALATE = "escalate_to_human"
MOST_ACTIONS = 20
_FENCE = re.compile(r"^(`{3,}|~{3,})\s*([^\s`]*)")
_NAME = r"[a-z][a-z0-9_-]*"
_KEY = r"[^\s/]+/[^\s/]*/\S+"


class Result(StrEnum):
    """What became of an action. SKIPPED: its condition was not met, or it had nothing to do."""

    VERIFIED = "verified"
    FAILED = "failed"
    SKIPPED = "skipped"


class OnError(StrEnum):
    """What follows a failing action, which by itself is always undone first.

    UNDO: what was done before is undone too. CONTINUE: the next action runs. STOP: what was done before
    stays and a person is told. ASK: the same, and the person is asked whether to undo it.
    """

    UNDO = "undo"
    CONTINUE = "continue"
    STOP = "stop"
    ASK = "ask"


def _listed(given: object) -> object:
    return given if isinstance(given, list | tuple) else (given,)


_Many = (BeforeValidator(_listed), Field(min_length=1))
_Unless = Field(exclude_if=lambda given: not given)  # what is read again must not hold an empty list


class When(Record):
    """What must be so for the action to run; empty means that it does not look there.

    `environment` is the incident's; `results` are those of former actions, by number from 1.
    """

    type: Annotated[tuple[str, ...], *_Many, _Unless] = ()
    environment: Annotated[tuple[str, ...], *_Many, _Unless] = ()
    confidence_at_least: float = Field(0, ge=0, le=1)
    confidence_below: float | None = Field(None, gt=0, le=1)
    results: dict[int, Annotated[tuple[Result, ...], *_Many]] = {}

    def unmet(self, type_: str, environment: str, confidence: float) -> str:
        """Why it cannot run, as far as is known before anything ran; empty when it can."""
        if self.type and type_ not in self.type:
            return f"the type is {type_}, not {' or '.join(self.type)}"
        if self.environment and environment not in self.environment:
            return f"the environment is {environment or 'not named'}, not {' or '.join(self.environment)}"
        if confidence < self.confidence_at_least:
            return f"the confidence {confidence:.2f} is under {self.confidence_at_least:g}"
        if self.confidence_below is not None and confidence >= self.confidence_below:
            return f"the confidence {confidence:.2f} is not under {self.confidence_below:g}"
        return ""

    def unmet_by(self, results: Mapping[int, Result]) -> str:
        """Why it cannot run after these results; an action that was left out counts as skipped."""
        for number, wanted in self.results.items():
            was = results.get(number, Result.SKIPPED)
            if was not in wanted:
                return f"action {number} was {was}, not {' or '.join(wanted)}"
        return ""


class Retry(Record):
    """How often a failing action is tried again, and the seconds before each time."""

    times: int = Field(0, ge=0, le=5)
    wait: float = Field(0, ge=0, le=3600)


class Action(Record):
    """One action. `target` is another than the incident's own: a registered target's key, or a name that the
    incident's target entry gives one. `timeout` bounds what it may wait in all, in seconds; a single call is
    bounded by the target's connection. None: only the strategy's own bounds hold. `line` is where it stands
    in its file.
    """

    strategy: str
    params: dict[str, Any] = {}
    target: str = Field("", pattern=rf"^({_NAME}|{_KEY})?$")
    when: When = When()
    retry: Retry = Retry()
    timeout: float | None = Field(None, gt=0, le=86_400)
    on_error: OnError = OnError.UNDO
    line: int = Field(0, exclude=True)


Found = tuple[int, str]  # a line of the file, and what is wrong there


def nearest(word: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a sentence."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"


def read_actions(
    body: str, first_line: int, taxonomy: Taxonomy, params: Mapping[str, type[Record]]
) -> tuple[tuple[Action, ...], list[Found]]:
    """The actions in a runbook's text, whose first line is the file's `first_line`, and all that is wrong.

    `params` are the parameter models of the strategies that are registered.
    """
    actions: list[Action] = []
    wrong: list[Found] = []
    for count, (line, text) in enumerate(_blocks(body, first_line, wrong), 1):
        action, found = _read(text, count, taxonomy, params)
        wrong += [(line + at, f"action {count}: {says}") for at, says in found]
        actions += [action.model_copy(update={"line": line})] if action else []
        if count > MOST_ACTIONS:
            wrong.append((line, f"a playbook has {MOST_ACTIONS} actions at most"))
    return tuple(actions), wrong


def unregistered(actions: Sequence[Action], keys: Iterable[str], names: Iterable[str]) -> list[Found]:
    """Of actions that name another target, those whose target nobody registered."""
    known = sorted({*keys, *names})
    return [
        (
            action.line,
            f"action {number}: no target {action.target!r} is registered{nearest(action.target, known)}",
        )
        for number, action in enumerate(actions, 1)
        if action.target and action.target not in known
    ]


def _blocks(body: str, first_line: int, wrong: list[Found]) -> Iterable[tuple[int, str]]:
    """Each action block's text and the line on which it begins."""
    open_fence, kind, begins, lines = "", "", 0, list[str]()
    for number, line in enumerate(body.split("\n"), first_line):
        fence = _FENCE.match(line)
        if not open_fence:
            if fence:
                open_fence, kind, begins, lines = fence[1], fence[2], number + 1, []
                if kind != "action" and difflib.get_close_matches(kind.lower(), ["action"], cutoff=0.75):
                    wrong.append((number, f"no block is called {kind!r}; did you mean 'action'?"))
        elif fence and not fence[2] and fence[1].startswith(open_fence):
            if kind == "action":
                yield begins, "\n".join(lines)
            open_fence = ""
        else:
            lines.append(line)
    if open_fence and kind == "action":
        wrong.append((begins - 1, "the action's block is not closed"))


def _read(
    text: str, number: int, taxonomy: Taxonomy, params: Mapping[str, type[Record]]
) -> tuple[Action | None, list[Found]]:
    """One block; the lines of what is wrong count from 0."""
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, like 2026-13-01
        mark = getattr(error, "problem_mark", None)
        return None, [(mark.line if mark else 0, f"not YAML: {getattr(error, 'problem', None) or error}")]
    if not isinstance(data, dict):
        return None, [(0, "an action is a mapping of keys to values, as `strategy: …`")]
    try:
        action = Action.model_validate(data)
    except ValidationError as error:
        return None, [(line_of(tree, p["loc"]), _mistake(p)) for p in error.errors(include_url=False)]
    found: list[Found] = []

    def wrong(says: str, *loc: str | int) -> None:
        found.append((line_of(tree, loc), says))

    model = params.get(action.strategy)
    if action.strategy == ESCALATE:
        wrong("telling a person is what follows when a playbook fails, and no action", "strategy")
    elif model is None:
        wrong(f"no strategy {action.strategy!r} is registered{nearest(action.strategy, params)}", "strategy")
    else:
        try:
            model.model_validate(action.params)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                place = ".".join(map(str, problem["loc"]))
                extra = problem["type"] == "extra_forbidden"
                hint = nearest(str(problem["loc"][0]), model.model_fields) if extra else ""
                wrong(f"params.{place}: {problem['msg']}{hint}", "params", *problem["loc"])
    for type_ in action.when.type:
        if type_ not in taxonomy.types:
            wrong(f"no such type: {type_!r}{nearest(type_, taxonomy.types)}", "when", "type")
    for former in action.when.results:
        if not 1 <= former < number:
            wrong(f"results.{former} is not an action before this one", "when", "results", former)
    return action, found


_KEYS: dict[str, type[Record]] = {"when": When, "retry": Retry}
_VALUES: dict[str, type[StrEnum]] = {"on_error": OnError, "results": Result}


def _mistake(problem: Any) -> str:
    loc, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden":
        known = _KEYS[loc[0]] if len(loc) > 1 else Action
        return f"unknown key {loc[-1]!r}{nearest(str(loc[-1]), known.model_fields)}"
    if kind == "enum":
        values = next(_VALUES[part] for part in loc if part in _VALUES)
        return f"{loc[0]}: no such value {problem['input']!r}{nearest(str(problem['input']), values)}"
    if loc == ("target",) and kind == "string_pattern_mismatch":
        return "target is a registered target's key (system/kind/name) or a name in small letters"
    return f"{'.'.join(map(str, loc))}: {problem['msg']}"


def line_of(tree: yaml.Node | None, loc: Sequence[str | int]) -> int:
    """The line of the deepest part of `loc` that stands in the text, from 0."""
    node, line = tree, 0
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line
