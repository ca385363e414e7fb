"""Register: a target that comes by API or command is checked before it is kept.

It may hold no secret, only where secrets stand; may name only strategies that are installed, with parameters
that they take; and by API it may run only programs that the settings name.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from app.db.engine import Database
from app.foundation.errors import Conflict, Invalid, NotFound
from app.intake.redact import MARK, redact, redact_value
from app.remediation import store as remediations
from app.remediation.strategy import Strategies
from app.systems import store
from app.systems.connections import Command, SupervisedProcess
from app.systems.targets import RegisteredTarget, Targets, places_of

_MEND = "a secret does not stand here: name where it stands, as {file: /path} or {env: NAME}"
_DEEPEST = 20


def check(body: Any, strategies: Strategies, programs: Collection[str] | None) -> RegisteredTarget:
    """The target that `body` describes as `targets.yaml` would. Raises Invalid with every place that is wrong.

    `programs` are those that it may run; None is any.
    """
    try:
        target = RegisteredTarget.model_validate(body)
    except ValidationError as error:
        raise Invalid("the target is not valid", places=places_of(error)) from None
    places = [*_secrets(body), *_strategies(target, strategies), *_programs(target, programs)]
    if not target.key.isprintable():
        places.append(("name", "system, kind, name and environment are plain text"))
    if places:
        raise Invalid("the target is not valid", places=places)
    return target


def keep(
    database: Database,
    targets: Targets,
    target: RegisteredTarget,
    body: Mapping[str, Any],
    actor: str,
    at: datetime,
) -> None:
    """Keeps a checked target. Raises Conflict for one that people keep in the file, or that is under repair."""
    if target.key in targets.of_file():
        raise Conflict(f"{target.key} stands in {targets.path.name}, which people keep; change it there")
    with database.writing() as session:
        _at_rest(session, target.key)
        store.put(session, target.key, body, actor=actor, at=at)


def remove(database: Database, targets: Targets, key: str) -> None:
    """Takes a target out of the register. Raises NotFound, or Conflict as `keep` does."""
    with database.writing() as session:
        if key in store.bodies(session):
            _at_rest(session, key)
            store.remove(session, key)
        elif key in targets.of_file():
            raise Conflict(f"{key} stands in {targets.path.name}, which people keep; remove it there")
        else:
            raise NotFound(f"there is no target {key}")


def _at_rest(session: Session, key: str) -> None:
    """A repair that is under way needs the registration to take back what it did."""
    if remediations.under_way(session, key):
        raise Conflict(f"a repair of {key} is under way; try again when it has ended")


def shown(target: RegisteredTarget) -> dict[str, Any]:
    """The target in the words of `targets.yaml`, without what may be a secret in it."""
    told: dict[str, Any] = _visible(target.model_dump(mode="json", exclude_defaults=True))
    return told


def _visible(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return dict(value) if _is_reference(value) else {k: _visible(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [MARK] if _tells(value) else [_visible(item, name) for item in value]
    return redact_value(value, name)


def _is_reference(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and not value.keys().isdisjoint(("file", "env"))


def _tells(values: Sequence[Any]) -> bool:
    """Whether arguments hold a secret when they are read as one line: `--token`, then what it is."""
    line = " ".join(value for value in values if isinstance(value, str))
    return redact(line) != line


def _secrets(value: Any, name: str = "", place: str = "") -> Iterator[tuple[str, str]]:
    if place.count(".") > _DEEPEST:
        yield place, "this is nested too deeply"
    elif isinstance(value, Mapping):
        if not _is_reference(value):
            for key, item in value.items():
                yield from _secrets(item, str(key), f"{place}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        if _tells(value):
            yield place, _MEND
        else:
            for index, item in enumerate(value):
                yield from _secrets(item, name, f"{place}.{index}")
    elif isinstance(value, str) and redact_value(value, name) != value:
        yield place, _MEND


def _strategies(target: RegisteredTarget, strategies: Strategies) -> Iterator[tuple[str, str]]:
    named = [(f"allow.{index}", name) for index, name in enumerate(target.allow)]
    for place, name in [*named, *((f"defaults.{name}", name) for name in target.defaults)]:
        if name not in strategies:
            near = get_close_matches(name, strategies, 1)
            yield place, f"there is no strategy {name!r}" + (f"; did you mean {near[0]}?" if near else "")
    for name, given in target.defaults.items():
        if name in strategies:
            try:
                strategies[name].Params.model_validate(given)
            except ValidationError as error:
                for place, says in places_of(error):
                    yield f"defaults.{name}.{place}", says


def _programs(target: RegisteredTarget, programs: Collection[str] | None) -> Iterator[tuple[str, str]]:
    found = [(name, value.run[0]) for name, value in target.connection if isinstance(value, Command)]
    if isinstance(target.connection, SupervisedProcess):
        found.append(("start", target.connection.start[0]))
    for name, program in found:
        if programs is not None and program not in programs:
            says = f"{program} is none of MENDLINE_SYSTEMS__COMMANDS, the programs that the API may have run"
            yield f"connection.{name}", says
