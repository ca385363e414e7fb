"""How commands print: a person reads colours and tables, a program reads `--json`."""

import getpass
import json
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column

from app.foundation.errors import Invalid
from app.people.person import Person, Role

console = Console(highlight=False, emoji=False)
quiet = Console(stderr=True, highlight=False)

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
Since = Annotated[str, typer.Option(help="How far back: 12h, 30d, 8w.", metavar="AGO")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def as_json(value: Any) -> None:
    """Prints one JSON value, indented."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))  # noqa: T201


def actor() -> str:
    """Who types: recorded with every act."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def me() -> Person:
    """Who types, as the desk knows them: whoever reaches the database may do everything."""
    return Person(key_id="cli", name=actor(), role=Role.ADMIN)


def plain(text: str, most: int = 160) -> str:
    """Foreign text on one line, without control characters or markup."""
    line = "".join(char if char.isprintable() else " " for char in text).strip()
    return escape(line if len(line) <= most else line[: most - 1] + "…")


def whole_id(header: str) -> Column:
    """A column of ids, which are typed again and so never cut, however narrow the terminal is."""
    return Column(header, min_width=30, no_wrap=True)


def ago(text: str) -> timedelta:
    """The time that `--since` names; raises Invalid."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or not 0 < int(number) <= 10_000:
        raise Invalid(f"{text!r} is no time", places=(("--since", "write 12h, 30d or 8w"),))
    return int(number) * _UNITS[unit]
