"""mode, shadow, policy: what would be done, and what would have been."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from app.commands.shown import actor, as_json, console, plain, quiet
from app.decision import store as decisions
from app.decision.decide import Decide, default_gates
from app.decision.mode import Mode, ModeSetting, check_names
from app.decision.policy import FixedPolicy, PolicyFile
from app.decision.settings import DecisionSettings
from app.foundation import logging
from app.foundation.errors import Invalid
from app.settings import read_settings

shadow_app = typer.Typer(help="What was decided and not done.", no_args_is_help=True)
policy_app = typer.Typer(help="The rules of what may act alone.", no_args_is_help=True)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

Since = Annotated[str, typer.Option(help="How far back: 12h, 30d, 8w.", metavar="AGO")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def install(app: typer.Typer) -> None:
    app.command()(mode)
    app.add_typer(shadow_app, name="shadow")
    app.add_typer(policy_app, name="policy")


def _ago(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or not 0 < int(number) <= 10_000:
        raise Invalid(f"{text!r} is no time", places=(("--since", "write 12h, 30d or 8w"),))
    return int(number) * _UNITS[unit]


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
        found = shadow_report(session, opened.taxonomy, settings.decision, opened.clock.now() - _ago(since))
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


@policy_app.command("replay")
def policy_replay(
    file: Annotated[Path | None, typer.Argument(help="A policy; none is the one in force.")] = None,
    since: Since = "30d",
    act_at: Annotated[float | None, typer.Option(help="Confidence from which it may act alone.")] = None,
    ask_at: Annotated[float | None, typer.Option(help="Confidence from which it asks.")] = None,
    model: Annotated[bool, typer.Option("--model", help="Diagnose again with the models of now.")] = False,
    as_json_: Json = False,
) -> None:
    """Decide every past incident again under a changed policy, thresholds or models; changes nothing."""
    from app.pipeline.replay import replay
    from app.wiring import build_brain, open_store

    logging.configure(json=False, level="WARNING")
    opened = open_store(read_settings())
    settings = _changed(opened.settings.decision, act_at, ask_at)
    path = file or settings.policy_file or opened.knowledge / "policy.yaml"
    policy = FixedPolicy(PolicyFile(path, opened.taxonomy).read())
    brain = None
    with quiet.status("loading") as status:
        if model:
            brain, _ = build_brain(opened, lambda says: status.update(says))
        status.update("deciding again")
        start = opened.clock.now() - _ago(since)
        found = replay(opened.database, Decide(default_gates(policy, settings)), start, brain)
    if as_json_:
        as_json(found.model_dump(mode="json"))
        return
    for change in found.changes:
        one = change.decision
        by = f"{one.gate} ({one.reason}): " if one.gate else ""
        console.print(
            f"{one.at:%Y-%m-%d %H:%M} {one.incident_id} {escape(one.strategy)} on {plain(one.target) or 'nothing'}\n"
            f"  [bold]{one.was} -> {one.would}[/]  {by}{plain(one.says, 400)}\n"
            f"  [dim]it ended: {change.ended}[/]",
            soft_wrap=True,
        )
    if found.changes:
        table = Table("was", "would be", "decisions", "how their incidents ended", box=None)
        for count in found.summary:
            ended = ", ".join(f"{number} {how}" for how, number in count.ended.items())
            table.add_row(count.was, count.would, str(count.decisions), ended)
        console.print(table)
    console.print(
        f"{found.decided} decided again, {len(found.changes)} of them otherwise, {found.same} alike in every word"
    )
    if found.unknown:
        console.print(f"{found.unknown} more cannot be decided again: what they were made on was not kept")


def _changed(settings: DecisionSettings, act_at: float | None, ask_at: float | None) -> DecisionSettings:
    given = {"act_at": act_at, "ask_at": ask_at}
    try:
        return DecisionSettings(
            **{**settings.model_dump(), **{name: at for name, at in given.items() if at is not None}}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "--" + str(first["loc"][0] if first["loc"] else "ask-at").replace("_", "-")
        raise Invalid("the thresholds are not valid", places=((place, first["msg"]),)) from None
