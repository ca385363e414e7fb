"""savings: what repairs saved, and under which assumptions."""

import typer
from rich.table import Table

from app.commands.shown import Json, Since, ago, as_json, console, plain
from app.settings import read_settings


def install(app: typer.Typer) -> None:
    app.command()(savings)


def savings(since: Since = "30d", as_json_: Json = False) -> None:
    """Show the time and cost of people that repairs saved. Assumptions are set on the page /savings or by API."""
    from app.learning import savings as learning
    from app.wiring import open_store

    opened = open_store(read_settings())
    with opened.database.reading() as session:
        found = learning.savings(session, opened.taxonomy, opened.clock.now() - ago(since))
    if as_json_:
        as_json(found.model_dump(mode="json"))
        return
    cost = found.assumptions.cost
    table = Table("strategy", "clean", "undone", "wrong", "hours", plain(cost.currency), box=None)
    for one in found.strategies:
        counts = (str(count) for count in (one.clean, one.undone, one.wrong))
        table.add_row(one.strategy, *counts, f"{one.minutes / 60:.1f}", f"{one.cost:.2f}")
    console.print(table)
    console.print(f"in all {found.minutes / 60:.1f} hours, {found.cost:.2f} {plain(cost.currency)}")
    console.print(f"[dim]assumed: an hour costs {cost.hourly:g} {plain(cost.currency)}[/]")
    for assumed in found.assumptions.minutes:
        of = " and ".join(name for name in (assumed.strategy, assumed.type) if name) or "any incident"
        console.print(f"[dim]assumed: {assumed.minutes:g} minutes of a person for {of}[/]")
