"""How commands print: a person reads colours and tables, a program reads `--json`."""

import getpass
import json
from typing import Any

from rich.console import Console

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
