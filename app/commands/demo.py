"""demo: things break for real beside a Mendline of its own, and each is followed to its outcome."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.commands.shown import as_json, console, quiet
from app.settings import read_settings


def install(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking you.")] = False,
    slack: Annotated[
        bool,
        typer.Option("--slack", help="Show it in a Slack of its own, on this machine, and answer there."),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it all running until Ctrl-C.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Its data folder, emptied first; `demo` in the data folder.")
    ] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """See it work: nine things break, and each is followed from the event to a verified repair or a person.

    Everything is real and its own: the systems, the failures, the service on a free port, its data
    folder. Nothing of yours is touched, and nothing is left running.
    """
    from app.commands.playground_slack import Workspace
    from app.commands.playground_stage import perform
    from app.commands.playground_view import View

    settings = read_settings()
    view = View(quiet if as_json_ else console)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # else it is ignored on purpose: nohup
            signal.signal(number, signal.default_int_handler)
    place = (folder or settings.data_dir / "demo").resolve()
    asks = not yes and (slack or (view.console.is_terminal and sys.stdin.isatty()))
    theirs = Workspace() if slack else None
    try:
        ok = perform(
            place, settings, view, asks=asks, keep=keep, told=as_json if as_json_ else None, slack=theirs
        )
    except KeyboardInterrupt:
        view.say("stopped; nothing of it is left running")
        raise typer.Exit(130) from None
    if not ok:
        raise typer.Exit(1)
