"""target: what may be acted on, and registering it."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from app.commands.shown import actor, as_json, console
from app.foundation.errors import Invalid, NotFound, Unavailable
from app.settings import read_settings

target_app = typer.Typer(help="What may be acted on.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="The target's key, from `mendline target list`.")]


def install(app: typer.Typer) -> None:
    app.add_typer(target_app, name="target")


@target_app.command("list")
def list_() -> None:
    """Show the registered targets and what is allowed there."""
    from app.wiring import open_store

    targets = open_store(read_settings()).targets
    in_file = targets.of_file()
    table = Table("target", "reached by", "owner", "group", "kept in", "allowed", box=None)
    for key, target in sorted(targets.all().items()):
        kept_in = targets.path.name if key in in_file else "database"
        row = key, target.connection.type, target.owner, target.group, kept_in, ", ".join(target.allow)
        table.add_row(*map(escape, row))
    console.print(table)
    if targets.problem:
        raise targets.problem


@target_app.command()
def show(key: Key, as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show one target as `targets.yaml` would have it, without what may be a secret."""
    from app.remediation.register import shown
    from app.wiring import open_store

    target = open_store(read_settings()).targets.find(key)
    if target is None:
        raise NotFound(f"there is no target {key}")
    if as_json_:
        as_json(shown(target))
    else:
        console.print(escape(yaml.safe_dump(shown(target), sort_keys=False, allow_unicode=True).strip()))


@target_app.command()
def add(
    file: Annotated[
        Path, typer.Argument(help="YAML: one entry as in targets.yaml, or `targets:` with several.")
    ],
) -> None:
    """Register the targets of a file, in the place of those with the same key."""
    from app.remediation import register
    from app.wiring import open_store

    opened = open_store(read_settings())
    bodies = _bodies(file)
    # All are checked before the first is kept.
    found = [(register.check(body, opened.strategies, None), body) for body in bodies]
    for target, body in found:
        register.keep(opened.database, opened.targets, target, body, actor(), opened.clock.now())
        console.print(f"registered {escape(target.key)}")


def _bodies(file: Path) -> list[Any]:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        says = getattr(error, "strerror", None) or getattr(error, "problem", None) or "it is not UTF-8"
        raise Invalid(f"{file.name} cannot be read: {says}") from None
    if isinstance(data, dict) and data.keys() == {"targets"} and isinstance(data["targets"], list):
        return data["targets"]
    return [data]


@target_app.command()
def remove(key: Key) -> None:
    """Take a target out of the register; one that stands in targets.yaml is removed there."""
    from app.remediation import register
    from app.wiring import open_store

    opened = open_store(read_settings())
    register.remove(opened.database, opened.targets, key)
    console.print(f"removed {escape(key)}")


@target_app.command()
def check(key: Key) -> None:
    """Try to reach a target without changing anything."""
    from app.systems.far_side import FarSideError
    from app.systems.reach import reach
    from app.wiring import open_store

    target = open_store(read_settings()).targets.find(key)
    if target is None:
        raise NotFound(f"there is no target {key}")
    try:
        for line in reach(target.connection):
            console.print(escape(line))
    except FarSideError as error:
        kind = Unavailable if error.again else Invalid
        raise kind(f"{key}: {error.says}") from None
