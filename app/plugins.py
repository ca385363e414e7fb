"""Plugins: strategies, gates and scorers of installed packages, where the settings allow their names.

A package offers a class by an entry point whose name is the class's `id`, in one of the groups
`mendline.strategies` (made with the register of targets), `mendline.gates` (made without arguments) and
`mendline.scorers` (made with the retriever). What is not allowed is not even imported; what cannot be
used is refused in a line and never stops the service.
"""

import importlib.metadata
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

from app.decision import gates
from app.decision.decision import Gate
from app.decision.plan import Risk
from app.diagnosis.scorer import Scorer
from app.diagnosis.scorers import SCORERS
from app.foundation.record import Record
from app.knowledge.playbook import PLAYBOOK
from app.knowledge.taxonomy import StrategyEntry
from app.remediation.strategies import STRATEGIES
from app.remediation.strategy import Strategy
from app.systems.targets import Targets

GROUPS = ("mendline.strategies", "mendline.gates", "mendline.scorers")
_PORTS: dict[str, type] = dict(zip(GROUPS, (Strategy, Gate, Scorer), strict=True))
_TAKEN = {
    "mendline.strategies": {PLAYBOOK, *(one.id for one in STRATEGIES)},
    "mendline.gates": {module.name for module in pkgutil.iter_modules(gates.__path__)},
    "mendline.scorers": {one.id for one in SCORERS},
}
_ID = re.compile(r"[a-z][a-z0-9_]*")


class Refused(Exception):
    """Why a plugin is not used."""


@dataclass(frozen=True)
class Plugins:
    """What was loaded. `entries` are what strategies say of themselves for the taxonomy; `refused` is a line each."""

    strategies: dict[str, Strategy] = field(default_factory=dict)
    entries: dict[str, StrategyEntry] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    scorers: tuple[type[Any], ...] = ()
    refused: tuple[str, ...] = ()


def _installed() -> Iterable[EntryPoint]:
    return [one for group in GROUPS for one in importlib.metadata.entry_points(group=group)]


def load_plugins(
    allow: Sequence[str], targets: Targets, installed: Callable[[], Iterable[EntryPoint]] = _installed
) -> Plugins:
    """Loads what is allowed; raises nothing, whatever a plugin does."""
    offered = list(installed()) if allow else []
    strategies: dict[str, Strategy] = {}
    entries: dict[str, StrategyEntry] = {}
    made_gates: list[Gate] = []
    scorers: list[type[Any]] = []
    refused: list[str] = []
    for name in dict.fromkeys(allow):
        found = [one for one in offered if one.name == name]
        try:
            if not found:
                raise Refused("no installed package offers it")
            if len(found) > 1:
                raise Refused(f"it is offered more than once: {', '.join(one.value for one in found)}")
            (point,) = found
            kind = _load(point)
            if point.group == "mendline.strategies":
                strategies[name] = kind(targets)
                if isinstance(entry := getattr(kind, "entry", None), StrategyEntry):
                    entries[name] = entry
            elif point.group == "mendline.gates":
                made_gates.append(kind())
            else:
                scorers.append(kind)
        except Refused as why:
            refused.append(f"{name}: {why}")
        except (Exception, SystemExit) as error:
            refused.append(f"{name}: it cannot be made: {type(error).__name__}: {error}"[:300])
    return Plugins(strategies, entries, tuple(made_gates), tuple(scorers), tuple(refused))


def _load(point: EntryPoint) -> type[Any]:
    """The class behind an entry point; raises Refused when it does not fulfil its port."""
    try:
        loaded = point.load()
    except (Exception, SystemExit) as error:
        raise Refused(f"{point.value} cannot be imported: {type(error).__name__}: {error}"[:300]) from None
    if not inspect.isclass(loaded):
        raise Refused(f"{point.value} is not a class")
    kind: Any = loaded  # what it has is looked at below
    port = _PORTS[point.group]
    for name in inspect.get_annotations(port):
        if not hasattr(kind, name):
            raise Refused(f"{point.value} has no `{name}`, which a {port.__name__} has")
    if kind.id != point.name or not _ID.fullmatch(point.name):
        raise Refused(f"its id is {kind.id!r}, not the entry point's name in small letters")
    if point.name in _TAKEN[point.group]:
        raise Refused(f"Mendline has a {port.__name__} of this id itself")
    for name, wanted in inspect.getmembers(port, inspect.isfunction):
        if name.startswith("_"):
            continue
        method = getattr(kind, name, None)
        if not callable(method):
            raise Refused(f"{point.value} has no {name}(), which a {port.__name__} has")
        if len(inspect.signature(method).parameters) != len(inspect.signature(wanted).parameters):
            raise Refused(
                f"its {name}{inspect.signature(method)} takes other arguments than {name}{_told(wanted)}"
            )
    if port is Strategy:
        if not isinstance(kind.risk, Risk):
            raise Refused(f"its risk is {kind.risk!r}, not one of {', '.join(Risk)}")
        if not (inspect.isclass(kind.Params) and issubclass(kind.Params, Record)):
            raise Refused("its Params are not a Record")
    made: type[Any] = kind
    return made


def _told(function: Any) -> str:
    return f"({', '.join(inspect.signature(function).parameters)})"
