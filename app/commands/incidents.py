"""incidents, explain, approvals, approve, deny, undo, correct: watching and answering."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Column, Table
from sqlmodel import Session

from app.commands.shown import actor, as_json, console, me, plain, quiet, whole_id
from app.commands.story import show_trail
from app.decision import store as decisions
from app.diagnosis import store as diagnoses
from app.foundation import logging
from app.incidents import store
from app.incidents.incident import State
from app.incidents.lifecycle import advance
from app.pipeline.trail import trail
from app.remediation import approve as approvals_
from app.remediation.approve import Answer
from app.settings import read_settings


def install(app: typer.Typer) -> None:
    app.command("incidents")(list_)
    app.command()(explain)
    app.command()(approvals)
    app.command()(approve)
    app.command()(deny)
    app.command()(snooze)
    app.command()(undo)
    app.command()(correct)
    app.command()(move)


def list_(
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    search: Annotated[str, typer.Option(help="Only those that say these words.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 25,
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List incidents, newest first."""
    from app.wiring import open_store

    with open_store(read_settings()).database.reading() as session:
        found, _ = store.page(session, store.Only(state=state, search=search), limit=limit)
        types = diagnoses.latest(session, [incident.id for incident in found])
        _tell_paused(session)
    if as_json_:
        as_json([incident.model_dump(mode="json") for incident in found])
        return
    table = Table(whole_id("incident"), "state", "type", "sure", "events", "last seen", "what", box=None)
    for incident in found:
        type_, confidence = types.get(incident.id, ("", None))
        table.add_row(
            incident.id,
            incident.state.value,
            type_,
            "" if confidence is None else f"{confidence:.0%}",
            str(incident.events),
            f"{incident.last_seen:%m-%d %H:%M:%S}",
            plain(incident.title, 60),
        )
    console.print(table)


def _tell_paused(session: Session) -> None:
    """Beside what is asked for, so that nobody wonders why nothing runs."""
    if paused := decisions.current(session):
        quiet.print(f"[red]repairs are {plain(paused)}[/]", soft_wrap=True)


def explain(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the whole trail of an incident: why grouped, diagnosis, decision, repair, outcome."""
    from app.wiring import open_store

    found = trail(open_store(read_settings()).database, incident)
    if as_json_:
        as_json(found.model_dump(mode="json"))
    else:
        show_trail(console, found)


def approvals(as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the plans that wait for a person, longest first."""
    from app.wiring import open_store

    with open_store(read_settings()).database.reading() as session:
        found = approvals_.waiting(session)
        plans = {item.id: decisions.get(session, item.decision_id).plan for item in found}
        _tell_paused(session)
    if as_json_:
        as_json([item.model_dump(mode="json") for item in found])
        return
    table = Table(
        whole_id("approval"), Column("incident", overflow="fold"), "expires", "waits for", "plan", box=None
    )
    for item in found:
        plan = plans[item.id]
        summary = plain(plan.summary) if plan else ""
        expires = f"{item.expires_at:%m-%d %H:%M}"
        table.add_row(item.id, item.incident_id, expires, plain(item.waits_for), summary)
    console.print(table)


def _answer(
    approval: str, answer: Answer, reason: str, plan: str | None, right_type: str = "", other: str = ""
) -> None:
    from app.wiring import open_store

    given = (
        open_store(read_settings())
        .desk()
        .answer(me(), approval, answer, plan_hash=plan, reason=reason, right_type=right_type, other=other)
    )
    if given.answer is None:
        console.print(f"your yes to {approval} is noted; it waits for {plain(given.waits_for)}")
    else:
        console.print(f"{given.answer} {approval}; the running service takes it from here")


def approve(
    approval: Annotated[str, typer.Argument(help="The approval's id, from `mendline approvals`.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the record.")] = "",
    plan: Annotated[str | None, typer.Option(help="The plan's hash: refuse if another plan waits.")] = None,
) -> None:
    """Let a plan run, once."""
    _answer(approval, Answer.APPROVED, reason, plan)


def deny(
    approval: Annotated[str, typer.Argument(help="The approval's id, from `mendline approvals`.")],
    reason: Annotated[str, typer.Option(help="Why not; kept in the record.")] = "",
    type_: Annotated[str, typer.Option("--type", help="What it really is; diagnosed again with that.")] = "",
    other: Annotated[str, typer.Option(help="The strategy to make a plan of instead.")] = "",
) -> None:
    """Say no to a plan; a person takes over, unless you say what to do instead."""
    _answer(approval, Answer.DENIED, reason, None, type_, other)


def snooze(
    approval: Annotated[str, typer.Argument(help="The approval's id, from `mendline approvals`.")],
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="For how long.")] = 30,
    reason: Annotated[str, typer.Option(help="Why; kept in the record.")] = "",
) -> None:
    """Put a question off: nobody is reminded until then."""
    from app.wiring import open_store

    desk = open_store(read_settings()).desk()
    console.print(plain(desk.snooze(me(), approval, timedelta(minutes=minutes), reason)))


def undo(
    remediation: Annotated[str, typer.Argument(help="The repair's id, from `mendline explain`.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the record.")] = "",
) -> None:
    """Take an ended repair back, once, while its backups are kept."""
    from app.wiring import open_store

    open_store(read_settings()).desk().undo(me(), remediation, reason)
    console.print(f"asked to undo {remediation}; the running service takes it from here")


def correct(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="What it really is.")],
    reason: Annotated[str, typer.Option(help="How one can tell; shown with the case.")] = "",
) -> None:
    """Say what an incident really is. A running service knows it from its next start; by API, at once."""
    from app.wiring import open_store

    logging.configure(json=False, level="WARNING")
    console.print(plain(open_store(read_settings()).desk().correct(me(), incident, type_, reason)))


def move(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    state: Annotated[State, typer.Argument(help="To which state.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the timeline.")] = "by hand",
) -> None:
    """Acknowledge, resolve, suppress or reopen an incident."""
    from app.wiring import open_store

    opened = open_store(read_settings())
    with opened.database.writing() as session:
        moved = advance(session, incident, state, actor=actor(), reason=reason, at=opened.clock.now())
    console.print(f"{moved.id} is {moved.state}")
