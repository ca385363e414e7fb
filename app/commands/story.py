"""The story of a diagnosis or of an incident, for a terminal that a person enjoys reading."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from app.commands.shown import plain
from app.decision.decision import Decision
from app.decision.plan import Plan
from app.diagnosis.diagnosis import Diagnosis, EvidenceKind
from app.pipeline.trail import Repair, Trail

_BAR = 24
COLOURS = {"allow": "green", "ask": "yellow", "block": "red"}
_ENDS = {"verified": "green", "undone": "yellow", "stuck": "red", "handed_over": "yellow", "stopped": "dim"}


def show_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """Type, confidence, why, and what would be tried."""
    filled = round(diagnosis.confidence * _BAR)
    colour = "green" if diagnosis.confidence >= 0.75 else "yellow" if diagnosis.confidence >= 0.5 else "red"
    console.print(
        f"[bold]{diagnosis.type}[/]  [{colour}]{'━' * filled}[/][dim]{'━' * (_BAR - filled)}[/] "
        f"{diagnosis.confidence:.0%} sure"
    )
    others = [
        f"{ranked.type} {ranked.probability:.0%}"
        for ranked in diagnosis.ranked[1:4]
        if ranked.probability >= 0.01
    ]
    if others:
        console.print(f"[dim]otherwise {', '.join(others)}[/]")
    console.print()
    for finding in diagnosis.findings:
        style = "" if finding.contributes else "dim"
        console.print(Text(f"  {finding.scorer.split('@')[0]:<17} {finding.hint}", style=style))
        if weighed := diagnosis.weighed(finding):
            console.print(f"  [dim]{'':<17} {weighed}[/]", soft_wrap=True)
        for item in finding.evidence[:5]:
            if item.kind is EvidenceKind.WORDS:
                continue
            console.print(
                f"  [dim]{'':<17} {item.weight:.2f}  {escape(item.ref)}  "
                f"{plain(item.says or item.quote, 90)}[/]",
                soft_wrap=True,
            )
    console.print()
    for place, choice in enumerate(diagnosis.choices):
        mark = "[bold]→[/]" if place == 0 else " "
        console.print(f"{mark} {choice.strategy}  [dim]{plain(choice.because, 200)}[/]", soft_wrap=True)
    if diagnosis.runbook:
        console.print(f"  [dim]runbook[/] {diagnosis.runbook}")


def show_trail(console: Console, trail: Trail) -> None:
    """An incident from its first event to how it ended."""
    incident = trail.incident
    console.print(f"[bold]{plain(incident.title)}[/]")
    console.print(
        f"{incident.id}  {incident.severity}  [bold]{incident.state}[/]  {plain(incident.target.key) or 'no target'}"
        f"  {incident.events} event{'s' if incident.events != 1 else ''}, "
        f"{incident.first_seen:%Y-%m-%d %H:%M:%S} to {incident.last_seen:%H:%M:%S} UTC"
    )
    for reason in incident.why:
        if reason.contributes:
            console.print(f"[dim]grouped by {plain(reason.hint)}[/]")
    if trail.paused:
        console.print(f"[red]{plain(trail.paused)}[/]")
    for diagnosis in trail.diagnoses:
        console.rule(
            f"[dim]diagnosis {diagnosis.at:%H:%M:%S}, {diagnosis.milliseconds:.0f} ms[/]", align="left"
        )
        show_diagnosis(console, diagnosis)
    for decision in trail.decisions:
        _show_decision(console, decision)
    for approval in trail.approvals:
        console.rule(f"[dim]approval {approval.asked_at:%H:%M:%S}[/]", align="left")
        if approval.answer is None:
            console.print(
                f"waits until {approval.expires_at:%H:%M:%S} UTC for {plain(approval.waits_for)}: "
                f"mendline approve {approval.id}",
                soft_wrap=True,
            )
        else:
            why = f": {plain(approval.reason)}" if approval.reason else ""
            console.print(f"[bold]{approval.answer}[/] by {plain(approval.actor)}{why}")
    for repair in trail.repairs:
        _show_repair(console, repair)
    if trail.told:
        console.rule("[dim]told[/]", align="left")
    for told in trail.told:
        why = f": {plain(told.says)}" if told.says else ""
        console.print(
            f"[dim]{told.ended_at or told.at:%H:%M:%S}[/] {told.message.kind} to {plain(told.channel)}  "
            f"[dim]{told.state}{why}[/]",
            soft_wrap=True,
        )
    console.rule("[dim]states[/]", align="left")
    for change in trail.transitions:
        console.print(
            f"[dim]{change.at:%H:%M:%S}[/] {change.after}  [dim]{plain(change.actor)}: {plain(change.reason)}[/]"
        )
    if trail.label:
        console.print(f"{plain(trail.label.actor)} says that it really is [bold]{trail.label.type}[/]")


def _show_decision(console: Console, decision: Decision) -> None:
    console.rule(f"[dim]decision {decision.at:%H:%M:%S}[/]", align="left")
    console.print(f"[bold]{decision.effect}[/]  {plain(decision.says, 400)}", soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for verdict in decision.verdicts:
        table.add_row(
            f"  {verdict.gate}", f"[{COLOURS[verdict.allows]}]{verdict.allows}[/]", plain(verdict.says, 300)
        )
    console.print(table)
    for passed in decision.considered:
        console.print(f"  [dim]passed over {plain(passed, 300)}[/]", soft_wrap=True)
    if decision.plan:
        plan = decision.plan
        console.print(
            f"\n{plain(plan.summary, 300)}  [dim]risk {plan.risk}, plan {plan.hash}[/]", soft_wrap=True
        )
        _show_steps(console, plan, "  ")
        console.print(
            f"  [dim]verified when {plain(plan.verify, 300)}; undo: {plain(plan.undo or 'not possible', 300)}[/]"
        )


def _show_steps(console: Console, plan: Plan, indent: str) -> None:
    for step in plan.steps:
        after = f" (after {step.after:g} s)" if step.after else ""
        number = plan.actions[step.index].number if plan.actions else step.index + 1
        console.print(f"{indent}{number}. {plain(step.says, 300)}{after}", soft_wrap=True)
        if plan.actions:
            _show_steps(console, plan.actions[step.index].plan, indent + "   ")


def _show_repair(console: Console, repair: Repair) -> None:
    remediation, outcome = repair.remediation, repair.outcome
    by = f", approved by {plain(remediation.approved_by)}" if remediation.approved_by else ""
    console.rule(f"[dim]{remediation.strategy} {remediation.started_at:%H:%M:%S}{by}[/]", align="left")
    for entry in repair.journal:
        says = _said(entry.body)
        console.print(f"[dim]{entry.at:%H:%M:%S}[/] {entry.kind:<9} {plain(says, 300)}", soft_wrap=True)
    if outcome is None:
        console.print("[yellow]under way[/]")
    else:
        console.print(
            f"[{_ENDS[outcome.ended]}]{outcome.ended}[/]  {plain(outcome.says, 400)}", soft_wrap=True
        )
        if outcome.undone:
            console.print(f"  undone: {plain(outcome.undone, 300)}", soft_wrap=True)
        for action in outcome.actions:
            undone = f" [dim]undone: {plain(action.undone, 300)}[/]" if action.undone else ""
            console.print(
                f"  {action.number}. {action.strategy} on {plain(action.target)}: [bold]{action.result}[/] "
                f"{plain(action.says, 300)}{undone}",
                soft_wrap=True,
            )
    if repair.undo is not None:
        how = {None: "is being undone", True: "was undone", False: "could not be undone"}[repair.undo.done]
        console.print(
            f"[yellow]{how}[/] for {plain(repair.undo.actor)}  {plain(repair.undo.says, 300)}", soft_wrap=True
        )
    elif repair.can_be_undone:
        console.print(f"  [dim]to take it back: mendline undo {remediation.id}[/]", soft_wrap=True)


def _said(body: str) -> str:
    import orjson

    told = orjson.loads(body)
    return str(told.get("says", "")) if isinstance(told, dict) else ""
