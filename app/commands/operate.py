"""pause, resume, strategy: steering."""

from typing import Annotated

import typer
from rich.table import Table

from app.commands.shown import actor, as_json, console, plain
from app.decision import store as decisions
from app.settings import read_settings

strategy_app = typer.Typer(help="Strategies and their record.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.command()(pause)
    app.command()(resume)
    app.add_typer(strategy_app, name="strategy")


def _switch(paused: bool, reason: str) -> None:
    from app.wiring import open_store

    opened = open_store(read_settings())
    with opened.database.writing() as session:
        turn = decisions.pause if paused else decisions.resume
        turn(session, actor=actor(), reason=reason, at=opened.clock.now())
    console.print("paused: no repair starts until `mendline resume`" if paused else "resumed")


def pause(reason: Annotated[str, typer.Option(help="Why; shown everywhere.")] = "") -> None:
    """Stop every start of a repair; what is under way is finished or undone."""
    _switch(True, reason)


def resume(reason: Annotated[str, typer.Option(help="Why.")] = "") -> None:
    """Let repairs start again."""
    _switch(False, reason)


@strategy_app.command("list")
def strategy_list(as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show each strategy's record: how often it helped, and the bounds of its success rate."""
    from app.remediation.record import strategy_records
    from app.wiring import open_store

    opened = open_store(read_settings())
    with opened.database.reading() as session:
        found = strategy_records(session, opened.taxonomy, opened.strategies, opened.settings.decision)
    if as_json_:
        as_json([record.model_dump(mode="json") for record in found])
        return
    table = Table(
        "strategy", "risk", "mode", "record", "95 % interval", "expected", "proven", "serves", box=None
    )
    for record in found:
        table.add_row(
            record.strategy if record.registered else f"[dim]{record.strategy} (not installed)[/]",
            record.risk,
            plain(record.mode) if record.registered and record.risk != "none" else "",
            f"{record.successes} of {record.trials}" if record.trials else "[dim]none yet[/]",
            f"{record.low:.2f} to {record.high:.2f}" if record.low is not None else "",
            f"{record.success:.2f}",
            record.guarantee.says if record.registered and record.risk != "none" else "",
            ", ".join(record.serves),
        )
    console.print(table)
