"""mode, shadow: what is decided and not done, and how that would have been."""

from typing import Annotated

import typer
from rich.table import Table

from app.commands.shown import Json, Since, actor, ago, as_json, console, plain
from app.decision import store as decisions
from app.decision.mode import Mode, ModeSetting, check_names
from app.foundation.errors import Invalid
from app.settings import read_settings

shadow_app = typer.Typer(help="What was decided and not done.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.command()(mode)
    app.add_typer(shadow_app, name="shadow")


def mode(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[STRATEGY] [shadow|live|default]", show_default=False)
    ] = None,
    type_: Annotated[str, typer.Option("--type", help="Only for incidents of this type.")] = "",
    environment: Annotated[str, typer.Option(help="Only in this environment.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept in the record.")] = "",
    as_json_: Json = False,
) -> None:
    """Show or set what is only recorded (shadow) and what is done (live); default takes a setting back.

    Of the settings that fit, the one that names most of strategy, type and environment counts.
    """
    from app.wiring import open_store

    opened = open_store(read_settings())
    if words:
        *named, to = words
        if len(named) > 1 or to not in list(Mode):
            raise Invalid(f"no mode: {' '.join(words)}", places=(("MODE", f"one of {', '.join(Mode)}"),))
        strategy = named[0] if named else ""
        check_names(opened.taxonomy, strategy, type_)
        setting = ModeSetting(
            strategy=strategy,
            type=type_,
            environment=environment,
            mode=Mode(to),
            actor=actor(),
            reason=reason,
            at=opened.clock.now(),
        )
        with opened.database.writing() as session:
            decisions.set_mode(session, setting)
    with opened.database.reading() as session:
        found = decisions.modes(session)
    if as_json_:
        as_json([one.model_dump(mode="json") for one in found])
        return
    table = Table("strategy", "type", "environment", "mode", "by", "since", "reason", box=None)
    for one in found:
        table.add_row(
            one.strategy or "every",
            one.type or "every",
            plain(one.environment) or "every",
            one.mode,
            plain(one.actor),
            f"{one.at:%Y-%m-%d %H:%M}",
            plain(one.reason),
        )
    console.print(table)
    start = opened.settings.decision.shadow_from_risk
    console.print(f"everything else is live{f', but from {start} risk on in shadow' if start else ''}")


@shadow_app.command("report")
def report(since: Since = "30d", as_json_: Json = False) -> None:
    """Score what was decided in shadow against what people then did and how it ended."""
    from app.remediation.shadow import shadow_report
    from app.wiring import open_store

    opened = open_store(read_settings())
    settings = opened.settings
    with opened.database.reading() as session:
        found = shadow_report(session, opened.taxonomy, settings.decision, opened.clock.now() - ago(since))
    if as_json_:
        as_json(found.model_dump(mode="json"))
        return
    table = Table("strategy", "decisions", "clean", "wrong", "open", "precision", "hours saved", box=None)
    table.add_column("still needed")
    for one in found.strategies:
        scored = one.precision is not None
        table.add_row(
            one.strategy,
            *(str(count) for count in (one.decisions, one.clean, one.wrong, one.open)),
            f"{one.precision:.0%}, at least {one.at_least:.0%}" if scored else "[dim]nothing scored[/]",
            f"{one.hours:.1f}",
            one.guarantee.says,
        )
    console.print(table)
    for wrong in found.wrong:
        console.print(
            f"[red]would be wrong[/] {wrong.at:%Y-%m-%d %H:%M} {wrong.strategy}: {plain(wrong.says)}"
        )
        console.print(f"  {settings.people.url}/incidents/{wrong.incident_id}", markup=False, soft_wrap=True)
    unsaid = sum(one.open for one in found.strategies)
    if unsaid:
        console.print(f"{unsaid} open; say what an incident was: mendline correct INCIDENT TYPE")
    console.print(f"[dim]{found.assumption}[/]")
