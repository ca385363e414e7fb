"""Files of settings: one value changed, and every other byte left as somebody wrote it.

A change is made in the text and then proven: the file is parsed before and after, and the two may
differ in that one value only. What cannot be done so (an alias that stands in two places, a key that
is written twice) is refused. A key is a path: `training.batch_size`, `stages.0.image`.
"""

import json
import re
import tomllib
from typing import Any

import tomlkit
import yaml
from tomlkit.exceptions import TOMLKitError

from app.systems.far_side import FarSideError

Value = bool | int | float | str

MOST_BYTES = 1_000_000
_SECRET = re.compile(r"passw|secret|credential|private_?key|api_?key|(^|[._-])token$", re.I)


def read(data: bytes, path: str) -> Any:
    """What the file holds, by its name's ending. Raises FarSideError (again=False) when it is no such file."""
    if len(data) > MOST_BYTES:
        raise FarSideError(f"it has more than the {MOST_BYTES:,} bytes allowed", again=False)
    form = _form(path)
    try:
        text = data.decode()
        if form == "yaml":
            return yaml.safe_load(text)
        return json.loads(text) if form == "json" else tomllib.loads(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        problem = getattr(error, "problem", None) or getattr(error, "msg", None) or type(error).__name__
        raise FarSideError(f"it is no readable {form}: {problem}", again=False) from None


def value(held: Any, key: str) -> Any:
    """The value at `key`, None where there is none."""
    for part in key.split("."):
        if isinstance(held, dict):
            held = held.get(part)
        elif isinstance(held, list) and part.isdecimal() and int(part) < len(held):
            held = held[int(part)]
        else:
            return None
    return held


def changed(data: bytes, path: str, key: str, to: Value) -> bytes:
    """The file with `to` at `key`; a key that is not there yet is added to what holds its neighbours.

    Raises FarSideError (again=False) where exactly this change cannot be made.
    """
    before, steps = read(data, path), key.split(".")
    wanted = _with(before, steps, to, key)
    if _same(before, wanted):
        return data
    text = data.decode()
    after = _in_toml(text, steps, to) if _form(path) == "toml" else _in_yaml(text, steps, to, _form(path))
    if not _same(read(after.encode(), path), wanted):
        raise FarSideError(f"{key} cannot be changed without changing something else", again=False)
    return after.encode()


def sounds_secret(key: str) -> bool:
    """Whether a value under this name must not stand in a plan."""
    return bool(_SECRET.search(key))


def _form(path: str) -> str:
    ending = path.rpartition(".")[2].lower()
    form = {"yml": "yaml", "yaml": "yaml", "json": "json", "toml": "toml"}.get(ending)
    if form is None:
        raise FarSideError("settings are changed in .yaml, .yml, .json and .toml files", again=False)
    return form


def _with(held: Any, steps: list[str], to: Value, key: str) -> Any:
    """A copy in which `to` stands there; what shares an alias with it keeps its own."""
    if not steps:
        if isinstance(held, dict | list):
            raise FarSideError(f"{key} holds other settings", again=False)
        return to
    first, *rest = steps
    if isinstance(held, dict) and (first in held or not rest):
        return {**held, first: _with(held.get(first), rest, to, key)}
    if isinstance(held, list) and first.isdecimal() and int(first) < len(held):
        return [*held[: int(first)], _with(held[int(first)], rest, to, key), *held[int(first) + 1 :]]
    raise FarSideError(f"there is nothing that could hold {key}", again=False)


def _in_toml(text: str, steps: list[str], to: Value) -> str:
    try:
        document = tomlkit.parse(text)
        holds: Any = document
        for step in steps[:-1]:
            holds = holds[int(step) if isinstance(holds, list) else step]
        holds[int(steps[-1]) if isinstance(holds, list) else steps[-1]] = to
        after = tomlkit.dumps(document)
    except (TOMLKitError, KeyError, TypeError, ValueError) as error:
        raise FarSideError(f"this TOML cannot be changed: {type(error).__name__}", again=False) from None
    # A line that is added ends as tomlkit likes it, so where all others end otherwise, it follows them.
    lone = re.compile(r"(?<!\r)\n")
    return after if lone.search(text) else lone.sub("\r\n", after)


def _in_yaml(text: str, steps: list[str], to: Value, form: str) -> str:
    """JSON too: it is YAML in which everything is quoted, but for tabs between its tokens."""
    try:
        node = yaml.compose(text.replace("\t", " ") if form == "json" else text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise FarSideError(f"this {form} cannot be changed", again=False) from None
    for step in steps[:-1]:
        node = _child(node, step)
    found = _child(node, steps[-1])
    if found is not None:
        start, end = found.start_mark.index, found.end_mark.index
        written = _written(to, form, getattr(found, "style", None))
        return f"{text[:start]}{' ' * text[:start].endswith(':')}{written}{text[end:]}"
    return _added(text, node, steps[-1], _written(to, form, None), form)


def _child(node: Any, step: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((v for k, v in node.value if k.value == step), None)
    if isinstance(node, yaml.SequenceNode) and step.isdecimal() and int(step) < len(node.value):
        return node.value[int(step)]
    return None


def _added(text: str, node: Any, name: str, written: str, form: str) -> str:
    """Behind the last of its neighbours, set as they are."""
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise FarSideError(f"{name} has no neighbours that show how to write it", again=False)
    name = _written(name, form, None)
    (first, _), (key, last) = node.value[0], node.value[-1]
    end = _end(last)
    if node.flow_style:
        # What stands between two neighbours: ", " or a comma, a line break and the indentation.
        lead = re.search(r"[\s]*$", text[: key.start_mark.index])
        between = lead[0] if lead and (len(node.value) > 1 or "\n" in lead[0]) else " "
        return f"{text[:end]},{between}{name}: {written}{text[end:]}"
    line_end = "\r\n" if "\r\n" in text else "\n"
    stop = end - 1 if text[end - 1 : end] == "\n" else text.find("\n", end)
    stop = len(text) if stop < 0 else stop - text[:stop].endswith("\r")
    return f"{text[:stop]}{line_end}{' ' * first.start_mark.column}{name}: {written}{text[stop:]}"


def _end(node: Any) -> int:
    """Where a node's own text ends; YAML's own mark of a block lies behind the comments that follow it."""
    while not isinstance(node, yaml.ScalarNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    end: int = node.end_mark.index
    return end


def _written(to: Value, form: str, style: str | None) -> str:
    if form == "json":
        return json.dumps(to, ensure_ascii=False)
    quotes = style if isinstance(to, str) and style in ("'", '"') else None
    if isinstance(to, str) and "\n" in to:
        quotes = '"'
    dumped: str = yaml.safe_dump(to, default_style=quotes, allow_unicode=True, width=10**9)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _same(one: Any, other: Any) -> bool:
    """Equal with equal types throughout: to Python, 1, 1.0 and True are equal."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (one != one and other != other)
