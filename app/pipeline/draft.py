"""Draft: a runbook from an incident that was solved, with what worked there."""

import re
from collections.abc import Sequence
from datetime import date

from app.diagnosis.diagnosis import UNKNOWN, Diagnosis, Finding
from app.foundation.errors import Conflict
from app.incidents.incident import State
from app.intake.normalise import normalise
from app.intake.redact import redact
from app.knowledge.house_form import action_blocks, fenced, written
from app.knowledge.playbook import PLAYBOOK
from app.knowledge.runbook import least_approval
from app.knowledge.signals import Signals
from app.knowledge.taxonomy import Taxonomy
from app.pipeline.trail import Repair, Trail
from app.remediation.outcome import Ended
from app.remediation.plan import ESCALATE
from app.remediation.strategy import Strategies

_MOST_LINES = 12
_LEAST_LETTERS = 12  # that a signal says


def draft(
    trail: Trail, cases: Sequence[str], strategies: Strategies, taxonomy: Taxonomy, name: str, today: date
) -> str:
    """The file's text; lines of the event stand in it only as quoted, redacted text.

    `cases` are the ids that the incident left. Raises Conflict for an incident that was not solved here, or
    of which nobody knows what it was.
    """
    incident = trail.incident
    if incident.state is not State.RESOLVED:
        raise Conflict(f"{incident.id} is {incident.state}; a runbook is drafted from one that was solved")
    repair = next((one for one in reversed(trail.repairs) if _stands(one)), None)
    diagnosis = _diagnosis(trail, repair)
    type_ = trail.label.type if trail.label else diagnosis.type
    if type_ == UNKNOWN:
        raise Conflict(f"nobody knows what {incident.id} was; say it: mendline correct {incident.id} TYPE")
    lines = _quoted(diagnosis.excerpt)
    signal = _signal(lines)
    front = {
        "id": name,
        "types": [type_],
        **({"signals": [signal]} if signal else {}),
        **_advice(repair, diagnosis, strategies, taxonomy),
        "owner": _line(incident.target.owner) or "nobody yet",
        "reviewed": today,
    }
    seen = [f"- `{case}`: " for case in cases] or ["- "]
    where = (
        f"{_line(incident.target.key) or 'no target named'}, {incident.first_seen:%Y-%m-%d}, `{incident.id}`"
    )
    sections = {
        "Symptoms": fenced(lines),
        "Confirm": _confirm(diagnosis),
        **_fixed(trail, repair, diagnosis),
        "Seen in": "\n".join(f"{one}{where}" for one in seen),
    }
    return written(front, _line(incident.title)[:100] or name, sections)


def draft_name(trail: Trail) -> str:
    """A name from the words of the incident that are not volatile."""
    words = re.findall(r"[a-z]{3,}", re.sub(r"<\w+>", " ", trail.incident.template.lower()))
    return "-".join(dict.fromkeys(words).keys())[:60].rpartition("-")[0] or "drafted"


def _stands(repair: Repair) -> bool:
    """Whether it helped, and nobody took it back."""
    return repair.outcome is not None and repair.outcome.ended is Ended.VERIFIED and repair.undo is None


def _diagnosis(trail: Trail, repair: Repair | None) -> Diagnosis:
    """The one that the repair followed, else the newest."""
    if not trail.diagnoses:
        raise Conflict(f"{trail.incident.id} was never diagnosed")
    decided = {decision.id: decision.diagnosis_id for decision in trail.decisions}
    wanted = decided.get(repair.remediation.decision_id) if repair else None
    return next((one for one in trail.diagnoses if one.id == wanted), trail.diagnoses[-1])


def _advice(
    repair: Repair | None, diagnosis: Diagnosis, strategies: Strategies, taxonomy: Taxonomy
) -> dict[str, object]:
    """Strategy, parameters, risk and approval as they worked; a person's own work is none of a strategy."""
    if repair is None:
        return {"strategy": ESCALATE, "params": {}, "risk": "low", "approval": "auto"}
    plan, approvers = repair.remediation.plan, repair.remediation.approvers
    approval = ("auto", "one_person", "two_people")[min(approvers, 2)]
    risks = [entry.risk for one in plan.strategies if (entry := taxonomy.strategies.get(one))]
    if approval == "auto" and any(least_approval(risk) != "auto" for risk in risks):
        approval = "one_person"
    risk = plan.risk.value if plan.risk.value != "none" else "low"
    if plan.actions:
        return {"strategy": PLAYBOOK, "risk": risk, "approval": approval}
    params = (
        strategies[plan.strategy].Params.model_validate(plan.params) if plan.strategy in strategies else None
    )
    given = params.model_dump(mode="json", exclude_defaults=True) if params else {}
    return {"strategy": plan.strategy, "params": given, "risk": risk, "approval": approval}


def _confirm(diagnosis: Diagnosis) -> str:
    others = [one for one in diagnosis.ranked if one.type != diagnosis.type and one.probability >= 0.01][:3]
    alike = ", ".join(f"`{one.type}` ({one.probability:.0%})" for one in others)
    agreed = [one for one in diagnosis.findings if one.contributes and _says(one) == diagnosis.type]
    hints = [f"- {_line(finding.hint)}" for finding in agreed]
    told = f"It was diagnosed as `{diagnosis.type}`, {diagnosis.confidence:.0%} sure."
    return "\n".join([told, *hints, f"Look-alikes that were weighed: {alike}." if alike else ""]).strip()


def _says(finding: Finding) -> str:
    return max(finding.scores, key=finding.scores.__getitem__, default="")


def _fixed(trail: Trail, repair: Repair | None, diagnosis: Diagnosis) -> dict[str, str]:
    owner = _line(trail.incident.target.owner) or "the owner of the target"
    escalate = f"When this does not help, or it comes back: {owner}."
    if repair is None or repair.outcome is None:
        last = trail.transitions[-1]
        if last.actor.startswith("source:"):
            raise Conflict(
                f"{trail.incident.id} went away by itself: nothing was done that could be written down"
            )
        return {
            "Fix": f"1. By hand, as {_line(last.actor)} did: {_line(last.reason)}",
            "Verify": "The event does not come again.",
            "Roll back": "Take back by hand what was done by hand.",
            "Escalate": escalate,
        }
    plan = repair.remediation.plan
    steps = [f"   - {_line(step.says)}" for step in plan.steps]
    fix = "\n".join([f"1. Automated: {_line(plan.summary)}", *steps])
    if plan.actions:
        actions = next(one.actions for one in diagnosis.choices if one.strategy == plan.strategy)
        fix += f"\n\n{action_blocks(actions)}"
    within = f" within {plan.within:g} s, and holds for {plan.settle:g} s."
    return {
        "Fix": fix,
        "Verify": f"{_line(plan.verify)}{within} It did: {_line(repair.outcome.says)}.",
        "Roll back": _line(plan.undo or "") or "It cannot be taken back.",
        "Escalate": escalate,
    }


def _line(text: str) -> str:
    """Text of elsewhere on one line, which can begin no heading, block or place to fill in."""
    return redact(" ".join(text.split())).replace("(fill in ", "( fill in ").lstrip("#`~->")[:500]


def _quoted(text: str) -> str:
    lines = [line.rstrip()[:300] for line in redact(text).split("\n") if line.strip()][:_MOST_LINES]
    return "\n".join(line.replace("(fill in ", "( fill in ") for line in lines)


def _signal(lines: str) -> str:
    """An expression for what is not volatile in the line that says most; empty when none says enough."""
    found = ""
    for line in lines.split("\n"):
        parts = [part for part in re.split(r"<\w+>", normalise(line)) if part.strip()]
        pattern = ".*".join(re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", part.strip()) for part in parts)
        said = sum(char.isalpha() for part in parts for char in part)
        if said > max(_LEAST_LETTERS, sum(char.isalpha() for char in found)) and len(pattern) <= 300:
            found = pattern if Signals([pattern]).search(lines) else found
    return found
