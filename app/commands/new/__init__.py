"""new: writes a new strategy, gate, scorer or source into a checkout, with a test that passes as written."""

import re
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from app.commands.shown import console
from app.foundation.errors import Invalid

new_app = typer.Typer(help="Begin a part of your own, in a checkout.", no_args_is_help=True)
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TEMPLATES = Path(__file__).parent
Name = Annotated[str, typer.Argument(help="In small letters, as mend_permissions.")]
Into = Annotated[Path, typer.Option(help="The checkout.")]


def install(app: typer.Typer) -> None:
    app.add_typer(new_app, name="new")


@new_app.command()
def strategy(name: Name, into: Into = Path()) -> None:
    """Write a strategy, its line in the tuple, its entry in the taxonomy and its test."""
    room = into / "app" / "remediation" / "strategies"
    _write(
        name,
        files={
            room / f"{name}.py": "strategy.txt",
            into / "tests" / "remediation" / f"test_{name}.py": "strategy_test.txt",
        },
        lines={
            room / "__init__.py": _registered(room, name, "    EscalateToHuman,\n", f"    {_class(name)},\n"),
            into / "knowledge" / "taxonomy.yaml": lambda text: _before(
                text, "  escalate_to_human:\n", _ENTRY, name
            ),
        },
    )
    _next(
        "the types that it serves in knowledge/taxonomy.yaml; a bench in "
        "tests/contracts/test_strategies.py and a scene in tests/scenes.py, for the contract and fault suites",
        name,
        "mendline.strategies",
    )


@new_app.command()
def gate(name: Name, into: Into = Path()) -> None:
    """Write a gate, its place among the others and its test."""
    room = into / "app" / "decision" / "gates"
    made = f"{_class(name)}({_class(name)}.Params())"
    _write(
        name,
        files={
            room / f"{name}.py": "gate.txt",
            into / "tests" / "decision" / f"test_{name}.py": "gate_test.txt",
        },
        lines={room / "__init__.py": _registered(room, name, "    )\n", f"        {made},\n")},
    )
    _next("what it asks about or blocks; its row among the gates in README.md", name, "mendline.gates")


@new_app.command()
def scorer(name: Name, into: Into = Path()) -> None:
    """Write a scorer, its line in the tuple and its test."""
    room = into / "app" / "diagnosis" / "scorers"
    _write(
        name,
        files={
            room / f"{name}.py": "scorer.txt",
            into / "tests" / "diagnosis" / f"test_{name}.py": "scorer_test.txt",
        },
        lines={
            room / "__init__.py": _registered(room, name, "    LanguageModel,\n", f"    {_class(name)},\n")
        },
    )
    _next(
        "what it reads; it weighs little at first, and more or less once this site has heard how often it is right",
        name,
        "mendline.scorers",
    )


@new_app.command()
def source(name: Name, into: Into = Path()) -> None:
    """Write a source of webhooks, its line in the tuple, its secret among the settings and its test."""
    room = into / "app" / "intake" / "sources"
    _write(
        name,
        files={
            room / f"{name}.py": "source.txt",
            into / "tests" / "intake" / f"test_{name}.py": "source_test.txt",
        },
        lines={
            room / "__init__.py": _registered(room, name, "    Github,\n", f"    {_class(name)},\n"),
            into / "app" / "intake" / "settings.py": lambda text: _before(
                text, "    inbox_limit: int", _SECRET, name
            ),
            into / "README.md": lambda text: _before(text, "| `MENDLINE_INTAKE__INBOX_LIMIT`", _ROW, name),
        },
    )
    _next(
        "what its sender signs and sends, as a `Known` in tests/contracts/test_sources.py with three recorded "
        f"payloads (usual, odd, hostile); MENDLINE_INTAKE__{name.upper()}_SECRET opens /api/v1/webhooks/{name}",
    )


_ENTRY = "  $name:\n    serves: []\n    risk: low\n    undo: put the former permissions back\n"
_SECRET = '    ${name}_secret: SecretStr = SecretStr("")\n'
_ROW = "| `MENDLINE_INTAKE__${NAME}_SECRET` |  | opens the webhook `$name` |\n"


def _next(says: str, name: str = "", group: str = "") -> None:
    """What is left to do; a part of a `group` may live in a package instead."""
    console.print(f"next: {says}", soft_wrap=True, markup=False)
    if group:
        console.print(
            f'or move it into a package of yours: the entry point {name} = "your_module:{_class(name)}" in '
            f"the group {group}, without the line in the tuple here, and MENDLINE_PLUGINS__ALLOW={name}",
            soft_wrap=True,
            markup=False,
        )


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _filled(text: str, name: str) -> str:
    words = name.replace("_", " ")
    return Template(text).substitute(
        name=name, NAME=name.upper(), Class=_class(name), Words=words.capitalize()
    )


def _before(text: str, anchor: str, more: str, name: str) -> str:
    """The text with `more` before the last `anchor`; raises Invalid where that is not there."""
    head, found, tail = text.rpartition(anchor)
    if not found:
        raise Invalid(f"the line {anchor.strip()!r} is not there, so nobody knows where a new one belongs")
    return head + _filled(more, name) + found + tail


def _registered(room: Path, name: str, anchor: str, line: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        module = ".".join(room.parts[-3:])
        imports = re.findall(rf"^from {re.escape(module)}\.\w+ import .+\n", text, re.M)
        ours = f"from {module}.{name} import {_class(name)}\n"
        after = [one for one in imports if one < ours]
        text = (
            text.replace(after[-1], after[-1] + ours)
            if after
            else text.replace(imports[0], ours + imports[0])
        )
        return _before(text, anchor, line, name)

    return edit


def _write(name: str, files: dict[Path, str], lines: dict[Path, Callable[[str], str]]) -> None:
    """All of it or nothing: raises Invalid before the first file is written."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name for a file: use small letters, digits and _")
    made: dict[Path, str] = {}
    for path, template in files.items():
        if path.exists():
            raise Invalid(f"{path} is there already")
        made[path] = _filled((_TEMPLATES / template).read_text(encoding="utf-8"), name)
    for path, edit in lines.items():
        if not path.exists():
            raise Invalid(f"{path} is not there; name the checkout with --into")
        made[path] = edit(path.read_text(encoding="utf-8"))
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
        console.print(str(path), soft_wrap=True)
