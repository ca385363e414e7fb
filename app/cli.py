"""The command line: `mendline …`. One line and an exit code for every error: 1 refused, 2 usage, 3 later."""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from app.foundation.errors import MendlineError, Unavailable

# Which module of `app.commands` has which: what a command does not need is not imported for it.
_COMMANDS = {
    "serve": ("serve", "worker", "setup", "doctor", "version", "key"),
    "diagnosis": ("diagnose", "eval", "knowledge"),
    "runbooks": ("runbook",),
    "incidents": (
        "incidents",
        "explain",
        "approvals",
        "approve",
        "deny",
        "snooze",
        "undo",
        "correct",
        "move",
    ),
    "operate": ("pause", "resume", "strategy"),
    "targets": ("target",),
    "people": ("people",),
    "policy": ("policy",),
    "shadow": ("mode", "shadow"),
    "savings": ("savings",),
    "audit": ("audit",),
    "slack": ("slack",),
    "demo": ("demo",),
    "new": ("new",),
}


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """The commands of the module that the first of `words` names; all of them when it names none."""
    app = typer.Typer(
        name="mendline",
        help="From an error event to a verified repair.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    # With one command alone there would be no word for it.
    app.callback()(lambda: None)
    named = [module for module, names in _COMMANDS.items() if words and words[0] in names]
    for module in named or _COMMANDS:
        import_module(f"app.commands.{module}").install(app)
    return app


def main() -> None:
    """Runs a command and turns our errors into a line on standard error."""
    # Before numpy is imported, which reads it then. Our matrices are small, and threads that wait for each
    # other in a loop take the cores from the threads that serve.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # Most of what is made stays: looking through it for garbage every few hundred objects takes a tenth of a start.
    gc.set_threshold(20_000, 20, 20)
    try:
        command_line(sys.argv[1:])()
    except Unavailable as error:
        print(f"mendline: {error.says}", file=sys.stderr)  # noqa: T201
        sys.exit(3)
    except MendlineError as error:
        print(f"mendline: {error.says}", file=sys.stderr)  # noqa: T201
        for place, says in error.places:
            print(f"  {place}: {says}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
