"""The command line: `mendline …`. One line and an exit code for every error: 1 refused, 2 usage, 3 later."""

import os
import sys

import typer

from app.commands import demo, diagnosis, incidents, new, operate, serve
from app.foundation.errors import MendlineError, Unavailable

app = typer.Typer(
    name="mendline",
    help="From an error event to a verified repair.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (serve, diagnosis, incidents, operate, demo, new):
    module.install(app)


def main() -> None:
    """Runs a command and turns our errors into a line on standard error."""
    # Before numpy is imported, which reads it then. Our matrices are small, and threads that wait for each
    # other in a loop take the cores from the threads that serve.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        app()
    except Unavailable as error:
        print(f"mendline: {error.says}", file=sys.stderr)  # noqa: T201
        sys.exit(3)
    except MendlineError as error:
        print(f"mendline: {error.says}", file=sys.stderr)  # noqa: T201
        for place, says in error.places:
            print(f"  {place}: {says}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
