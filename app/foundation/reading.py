"""Reading: a site's own YAML files as records, every mistake with its line and the nearest right word.

A file that cannot be read is never an older one that could be: who asks is told so until it is mended.
"""

import difflib
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from app.foundation.errors import Invalid
from app.foundation.record import Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)
Loc = tuple[str | int, ...]

# Pydantic's words for these speak of Python; whoever writes such a file thinks in YAML.
_WORDS = {
    "model_type": "keys with values belong here, as `rules:` with a list under it",
    "tuple_type": "a list belongs here",
    "string_type": "a word belongs here; put it in quotes",
    "too_short": "the list is empty; leave the key out to match everything",
}

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"(\d{1,6})\s*([mhd])")


def _span(given: object) -> object:
    if isinstance(given, timedelta) or given is None:
        return given
    span = _SPAN.fullmatch(given.strip()) if isinstance(given, str) else None
    if span is None:
        raise ValueError("write how long as 90m, 62h or 3d")
    return timedelta(**{_UNITS[span[2]]: int(span[1])})


# How long, as people write it: 90m, 62h, 3d.
Span = Annotated[timedelta, BeforeValidator(_span), Field(gt=timedelta(0))]


class Watched(Generic[T]):
    """What stands in some files; looks at their change times and sizes at each question."""

    def __init__(self, files: Callable[[], Sequence[Path]], look: Callable[[], T]) -> None:
        """Opens nothing yet. `look` reads the files; it may raise OSError or Invalid."""
        self._files = files
        self._look = look
        self._lock = threading.Lock()
        self._stamp: tuple[Any, ...] | None = None
        self._read: T | Invalid | None = None

    def read(self) -> T:
        """What the files say now; raises Invalid with the places when one is missing or wrong."""
        with self._lock:
            try:
                stamp = tuple((path, *_stamp(path)) for path in self._files())
                if self._read is None or stamp != self._stamp:
                    self._read, self._stamp = None, stamp
                    self._read = self._look()
            except Invalid as error:
                self._read = error
            except OSError as error:
                self._read = None
                raise Invalid(f"{error.filename} cannot be read: {error.strerror or error}") from None
            if isinstance(self._read, Invalid):
                raise Invalid(self._read.says, places=self._read.places)
            return self._read


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def read_record(
    path: Path, model: type[R], strangers: Callable[[R], Iterable[tuple[Loc, str]]] = lambda record: ()
) -> R:
    """Reads the file; raises OSError, or Invalid with all that is wrong, each with its line.

    `strangers` gives what is wrong beyond the record's own checks, by place in the record.
    """
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
        record = model.model_validate(data)
    except ValidationError as error:
        # A misspelt key is also a missing one; the spelling is what to mend, so it comes first.
        problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] == "missing")
        places += [(_place(tree, problem["loc"]), _mistake(model, problem)) for problem in problems]
    else:
        places += [(_place(tree, loc), says) for loc, says in strangers(record)]
    if places:
        raise Invalid(f"{path.name} is not valid", places=places)
    return record


def _mistake(model: type[BaseModel], problem: Mapping[str, Any]) -> str:
    kind, loc = problem["type"], problem["loc"]
    if kind == "extra_forbidden":
        return f"unknown key {loc[-1]!r}{nearest(str(loc[-1]), _fields(model, loc[:-1]))}"
    if kind == "enum":
        known = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"no such value: {problem['input']!r}{nearest(str(problem['input']), known)}"
    if kind == "missing":
        return f"{loc[-1]!r} is missing"
    return _WORDS.get(kind) or str(problem["msg"]).removeprefix("Value error, ")


def _fields(model: type[BaseModel], loc: Loc) -> Iterable[str]:
    """The keys that the record at `loc` knows."""
    for part in loc:
        if isinstance(part, str) and part in getattr(model, "model_fields", ()):
            kind = model.model_fields[part].annotation
            model = next((inner for inner in get_args(kind) if isinstance(inner, type)), kind)  # type: ignore[assignment]
    return tuple(getattr(model, "model_fields", ()))


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'ask'?`, or all that is known when nothing is near."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"


def _place(tree: yaml.Node | None, loc: Loc) -> str:
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
