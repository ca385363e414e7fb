"""How commands print: a person reads colours and tables, a program reads `--json`."""

import getpass
import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column

console = Console(highlight=False)
quiet = Console(stderr=True, highlight=False)


def as_json(value: Any) -> None:
    """Prints one JSON value, indented."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))  # noqa: T201


def actor() -> str:
    """Who types: recorded with every act."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def plain(text: str, most: int = 160) -> str:
    """Foreign text on one line, without control characters or markup."""
    line = "".join(char if char.isprintable() else " " for char in text).strip()
    return escape(line if len(line) <= most else line[: most - 1] + "…")


def whole_id(header: str) -> Column:
    """A column of ids, which are typed again and so never cut, however narrow the terminal is."""
    return Column(header, min_width=30, no_wrap=True)
