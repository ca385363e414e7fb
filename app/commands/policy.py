"""policy: whether the site's own rules are right, what they say of an incident, and what others would have said."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from app.commands.shown import Json, Since, ago, as_json, console, plain, quiet
from app.commands.story import COLOURS
from app.decision.decide import Decide, default_gates
from app.decision.policy import FixedPolicy, Policy, Spoken, read_policy
from app.decision.settings import DecisionSettings
from app.foundation import logging
from app.foundation.errors import Invalid, Refused
from app.knowledge.taxonomy import Taxonomy
from app.settings import read_settings

policy_app = typer.Typer(help="The rules of what may act alone.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.add_typer(policy_app, name="policy")


@policy_app.command()
def lint(
    file: Annotated[
        Path | None, typer.Argument(help="Without one, the policy and the freezes in force.")
    ] = None,
) -> None:
    """Say what is wrong in a policy, with the line and the nearest right word."""
    from app.wiring import open_store

    opened = open_store(read_settings())
    if file is not None:
        _count(file.name, _read(file, opened.taxonomy))
        return
    _count("policy", opened.policy.read())
    console.print(f"freezes: ok, {len(opened.freezes.read().freezes)}")


def _read(file: Path, taxonomy: Taxonomy) -> Policy:
    try:
        return read_policy(file, taxonomy)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror or error}") from None


def _count(name: str, policy: Policy) -> None:
    console.print(f"{plain(name)}: ok, rules {len(policy.rules)}, trust {len(policy.trust)}")


@policy_app.command()
def explain(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json_: Json = False,
) -> None:
    """Show which rules match an incident, which do not and why, and what every gate says now."""
    from app.diagnosis import store as diagnoses
    from app.incidents import store as incidents
    from app.pipeline.situation import target_of
    from app.remediation.plan import plan
    from app.wiring import open_store

    opened = open_store(read_settings())
    now = opened.clock.now()
    with opened.database.reading() as session:
        about = incidents.get(session, incident)
        known = diagnoses.of_incident(session, incident)
        if not known:
            raise Refused(f"{incident} is not diagnosed yet, so no rule can speak of it")
    planned = plan(about, known[-1], target_of(about, opened.targets), opened.strategies)
    with opened.database.reading() as session:
        situation = opened.situations().now(session, about, known[-1], planned.plan, now)
    effect, verdicts, says = opened.decide().decide(situation, now)
    spoken: list[Spoken] = []
    problems: list[str] = []
    for source in (opened.policy, opened.freezes):
        try:
            spoken += source.read().speaks(situation, now)
        except Invalid as error:
            problems += [error.says, *(f"{place}: {what}" for place, what in error.places)]
    if as_json_:
        as_json(
            {
                "plan": planned.plan.model_dump(mode="json"),
                "considered": planned.considered,
                "rules": [one.model_dump(mode="json") for one in spoken],
                "problems": problems,
                "verdicts": [verdict.model_dump(mode="json") for verdict in verdicts],
                "effect": effect.value,
                "says": says,
            }
        )
        return
    console.print(
        f"[bold]{planned.plan.strategy}[/]  {plain(planned.plan.summary, 300)}  "
        f"[dim]risk {planned.plan.risk}, on {plain(planned.plan.target) or 'no target'}[/]",
        soft_wrap=True,
    )
    for passed in planned.considered:
        console.print(f"  [dim]passed over {plain(passed, 300)}[/]", soft_wrap=True)
    for problem in problems:
        console.print(f"[red]{plain(problem, 300)}[/]", soft_wrap=True)
    rules = Table("rule", "says", "", box=None)
    for one in spoken:
        why = one.because if not one.misfits else f"does not match: {', '.join(one.misfits)}"
        rules.add_row(
            plain(one.name), one.then if not one.misfits else f"[dim]{one.then}[/]", plain(why, 500)
        )
    console.print(rules)
    gates = Table("gate", "says", "", box=None)
    for verdict in verdicts:
        colour = COLOURS[verdict.allows]
        gates.add_row(verdict.gate, f"[{colour}]{verdict.allows}[/]", plain(verdict.says, 500))
    console.print(gates)
    console.print(f"now: [bold]{effect}[/]  {plain(says, 400)}", soft_wrap=True)


@policy_app.command("replay")
def replay(
    file: Annotated[Path | None, typer.Argument(help="A policy; none is the one in force.")] = None,
    since: Since = "30d",
    act_at: Annotated[float | None, typer.Option(help="Confidence from which it may act alone.")] = None,
    ask_at: Annotated[float | None, typer.Option(help="Confidence from which it asks.")] = None,
    model: Annotated[bool, typer.Option("--model", help="Diagnose again with the models of now.")] = False,
    as_json_: Json = False,
) -> None:
    """Decide every past incident again under a changed policy, thresholds or models; changes nothing."""
    from app.pipeline import replay as history
    from app.wiring import build_brain, open_store

    logging.configure(json=False, level="WARNING")
    opened = open_store(read_settings())
    settings = _changed(opened.settings.decision, act_at, ask_at)
    policy = FixedPolicy(_read(file, opened.taxonomy)) if file else opened.policy
    brain = None
    with quiet.status("loading") as status:
        if model:
            brain, _ = build_brain(opened, lambda says: status.update(says))
        status.update("deciding again")
        start = opened.clock.now() - ago(since)
        found = history.replay(
            opened.database, Decide(default_gates(policy, settings, opened.freezes)), start, brain
        )
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
