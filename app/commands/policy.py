"""policy: whether the site's own rules are right, and what they say of an incident."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.commands.shown import as_json, console, plain
from app.commands.story import COLOURS
from app.decision.policy import Policy, Spoken, read_policy
from app.foundation.errors import Invalid, Refused
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
        try:
            _count(file.name, read_policy(file, opened.taxonomy))
        except OSError as error:
            raise Invalid(f"{file} cannot be read: {error.strerror or error}") from None
        return
    _count("policy", opened.policy.read())
    console.print(f"freezes: ok, {len(opened.freezes.read().freezes)}")


def _count(name: str, policy: Policy) -> None:
    console.print(f"{plain(name)}: ok, rules {len(policy.rules)}, trust {len(policy.trust)}")


@policy_app.command()
def explain(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which rules match an incident, which do not and why, and what every gate says now."""
    from app.diagnosis import store as diagnoses
    from app.incidents import store as incidents
    from app.pipeline.situation import situation_of, target_of
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
        situation = situation_of(session, about, known[-1], planned.plan, opened.targets, now)
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
