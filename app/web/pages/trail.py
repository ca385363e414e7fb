"""The trail of one incident: everything that happened to it, and the forms of those who may answer or act."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.decision.decision import Allows, Decision, Verdict
from app.decision.plan import Plan
from app.diagnosis.diagnosis import Diagnosis, Finding
from app.foundation.errors import Invalid, Unavailable
from app.incidents.incident import OPEN, State
from app.incidents.lifecycle import advance
from app.people.person import Scope
from app.pipeline.card import Cards
from app.pipeline.marks import marks
from app.pipeline.trail import Repair, Trail, trail
from app.remediation.approve import Answer, Approval
from app.remediation.outcome import Outcome
from app.remediation.parts import turns
from app.remediation.record import standing
from app.remediation.store import Entry, Kind, Remediation
from app.remediation.undo import Undo
from app.web.deps import Parts, PartsDep
from app.web.pages.act import act
from app.web.pages.approvals import answered
from app.web.pages.render import page
from app.web.pages.session import Posted, VisitorDep

router = APIRouter(include_in_schema=False)
_STRICTEST_FIRST = (Allows.BLOCK, Allows.ASK, Allows.ALLOW)
_SAID = {
    Kind.SNAPSHOT: "kept for undoing",
    Kind.INTENT: "about to",
    Kind.RECEIPT: "done",
    Kind.FAILED: "not done",
    Kind.CHECK: "checked",
    Kind.UNDO: "undone",
    Kind.ASKED: "asked",
}
# What a person is offered, by state; `lifecycle` has the last word on what is allowed.
_MOVES: dict[State, tuple[tuple[State, str], ...]] = {
    State.FIRING: (
        (State.ACKNOWLEDGED, "Acknowledge"),
        (State.RESOLVED, "Resolve"),
        (State.SUPPRESSED, "Suppress"),
    ),
    State.ACKNOWLEDGED: ((State.RESOLVED, "Resolve"), (State.SUPPRESSED, "Suppress")),
    State.RESOLVED: ((State.FIRING, "Reopen"),),
    State.SUPPRESSED: ((State.FIRING, "Reopen"), (State.RESOLVED, "Resolve")),
}


@dataclass(frozen=True)
class Line:
    """One line of a repair's journal in words; `where` is its action and step, empty for the whole repair."""

    at: datetime
    what: str
    where: str
    says: str
    bad: bool


@dataclass(frozen=True)
class Told:
    """A repair in words; without an outcome it is under way."""

    remediation: Remediation
    lines: tuple[Line, ...]
    outcome: Outcome | None
    undo: Undo | None
    can_be_undone: bool


@dataclass(frozen=True)
class View:
    """What the page shows, in the shape in which it shows it.

    `asked` is the decision that the waiting approval is about; `doing` says what is under way
    now, empty when nothing is.
    """

    trail: Trail
    diagnosis: Diagnosis | None
    findings: tuple[Finding, ...]
    earlier_diagnoses: tuple[Diagnosis, ...]
    decision: Decision | None
    verdicts: tuple[Verdict, ...]
    earlier_decisions: tuple[Decision, ...]
    waiting: Approval | None
    asked: Decision | None
    overdue: bool
    answered: tuple[Approval, ...]
    repairs: tuple[Told, ...]
    doing: str
    moves: tuple[tuple[State, str], ...]


def view_of(found: Trail, now: datetime) -> View:
    """The newest diagnosis and decision whole, what counted most first."""
    diagnosis = found.diagnoses[-1] if found.diagnoses else None
    decision = found.decisions[-1] if found.decisions else None
    waiting = found.waiting
    return View(
        trail=found,
        diagnosis=diagnosis,
        findings=tuple(sorted(diagnosis.findings, key=lambda f: not f.contributes)) if diagnosis else (),
        earlier_diagnoses=found.diagnoses[-2::-1],
        decision=decision,
        verdicts=tuple(sorted(decision.verdicts, key=lambda v: _STRICTEST_FIRST.index(v.allows)))
        if decision
        else (),
        earlier_decisions=found.decisions[-2::-1],
        waiting=waiting,
        asked=next((d for d in found.decisions if waiting and d.id == waiting.decision_id), None),
        overdue=waiting is not None and now >= waiting.expires_at,
        answered=tuple(a for a in reversed(found.approvals) if a.answer is not None),
        repairs=tuple(_told(repair) for repair in reversed(found.repairs)),
        doing=_doing(found),
        moves=_MOVES[found.incident.state],
    )


def _told(repair: Repair) -> Told:
    return Told(
        remediation=repair.remediation,
        lines=tuple(_line(repair.remediation.plan, entry) for entry in repair.journal),
        outcome=repair.outcome,
        undo=repair.undo,
        can_be_undone=repair.can_be_undone,
    )


def _where(plan: Plan, entry: Entry) -> str:
    """`step 1`, or in a playbook `action 2, step 1` and, where it was tried again, `action 2 (try 2), step 1`."""
    whole = entry.kind in (Kind.SNAPSHOT, Kind.UNDO)
    if entry.kind is Kind.ASKED or (whole and not plan.actions):
        return ""
    for turn in turns(plan):
        for which, part in enumerate(turn.tries, 1):
            if entry.step == part.nth if whole else part.holds(entry.step):
                step = "" if whole else f"step {entry.step - part.first + 1}"
                again = f" (try {which})" if which > 1 else ""
                action = f"action {turn.number}{again}" if plan.actions else ""
                return ", ".join(filter(None, [action, step]))
    return ""


def _line(plan: Plan, entry: Entry) -> Line:
    kind, told = entry.kind, orjson.loads(entry.body)
    how = told.get("how", "")
    bad = how in ("disproved", "failed", "human")
    what = "could not undo" if kind is Kind.UNDO and bad else _SAID[kind]
    return Line(entry.at, what, _where(plan, entry), str(told.get("says", "")), bad)


def _doing(found: Trail) -> str:
    """What is under way, so that the page follows it."""
    for repair in found.repairs:
        if repair.outcome is None:
            return f"Repairing with {repair.remediation.strategy}"
        if repair.undo is not None and repair.undo.done is None:
            return f"Undoing {repair.remediation.strategy}"
    answered = [a for a in found.approvals if a.answer is Answer.APPROVED or a.right_type]
    if answered:
        at = max(a.answered_at or a.asked_at for a in answered)
        if not any(decision.at > at for decision in found.decisions):
            return "Acting on the answer"
    incident = found.incident
    if incident.state not in OPEN:
        return ""
    current = [d for d in found.diagnoses if d.episode == incident.episode]
    if not current:
        return "Diagnosing"
    return "" if any(d.diagnosis_id == current[-1].id for d in found.decisions) else "Deciding"


@router.get("/incidents/{incident_id}")
def show(request: Request, incident_id: str, visitor: VisitorDep, parts: PartsDep) -> Response:
    """The page; it follows by itself while something is under way."""
    with parts.database.reading() as session:
        mark = marks(session, [incident_id])[incident_id]
    view = view_of(trail(parts.database, incident_id), parts.clock.now())
    return page(
        request,
        visitor,
        "incident.html",
        mark=mark,
        view=view,
        types=parts.taxonomy.types,
        standing=_standing(parts, view),
        others=_others(parts, view),
        not_ready=_not_ready(parts) if view.doing == "Diagnosing" else "",
    )


def _standing(parts: Parts, view: View) -> str:
    """How far the strategy that waits for a person is from running alone."""
    if view.asked is None:
        return ""
    with parts.database.reading() as session:
        return standing(session, parts.taxonomy, view.asked.strategy, parts.decision).says


def _others(parts: Parts, view: View) -> tuple[str, ...]:
    """The strategies that could be asked about instead of the one that waits."""
    if view.asked is None or view.asked.plan is None:
        return ()
    cards = Cards(parts.database, parts.targets, parts.strategies)
    return cards.others(view.trail.incident, view.asked.plan)


def _not_ready(parts: Parts) -> str:
    """What diagnosing waits for; empty when it can begin."""
    said = parts.readiness().get("diagnosis", "ok")
    return "" if said == "ok" else said


@router.post("/incidents/{incident_id}/answers/{approval_id}")
def answer(
    request: Request, incident_id: str, approval_id: str, visitor: VisitorDep, parts: PartsDep, posted: Posted
) -> Response:
    """Approves or denies the plan that was read."""
    return answered(request, visitor, parts, posted, approval_id, f"/incidents/{incident_id}")


@router.post("/incidents/{incident_id}/snooze/{approval_id}")
def snooze(
    request: Request, incident_id: str, approval_id: str, visitor: VisitorDep, parts: PartsDep, posted: Posted
) -> Response:
    """Puts the question off."""
    visitor.person.need(Scope.APPROVE)

    def does() -> str:
        minutes = posted.text("minutes", 10)
        if not minutes.isdecimal():
            raise Invalid("say for how many minutes")
        return parts.desk.snooze(
            visitor.person, approval_id, timedelta(minutes=int(minutes)), posted.text("reason")
        )

    return act(request, f"/incidents/{incident_id}", does)


@router.post("/incidents/{incident_id}/undo/{remediation_id}")
def undo(
    request: Request,
    incident_id: str,
    remediation_id: str,
    visitor: VisitorDep,
    parts: PartsDep,
    posted: Posted,
) -> Response:
    """Takes an ended repair back."""
    visitor.person.need(Scope.APPROVE)

    def does() -> str:
        parts.desk.take_back(visitor.person, remediation_id, posted.text("reason"))
        return "It is being undone. What somebody changed meanwhile is left alone, and told of here."

    return act(request, f"/incidents/{incident_id}", does)


@router.post("/incidents/{incident_id}/state")
def move(
    request: Request, incident_id: str, visitor: VisitorDep, parts: PartsDep, posted: Posted
) -> Response:
    """Acknowledges, resolves, suppresses or reopens."""
    visitor.person.need(Scope.OPERATE)

    def does() -> str:
        to = posted.text("to")
        if to not in list(State):
            raise Invalid(f"there is no state {to[:50]!r}")
        with parts.database.writing() as session:
            moved = advance(
                session,
                incident_id,
                State(to),
                actor=visitor.person.name,
                reason=posted.text("reason") or "by hand",
                at=parts.clock.now(),
            )
        return f"The incident is {moved.state}."

    return act(request, f"/incidents/{incident_id}", does)


@router.post("/incidents/{incident_id}/correction")
def correct(
    request: Request, incident_id: str, visitor: VisitorDep, parts: PartsDep, posted: Posted
) -> Response:
    """Says what the type really is; it is a case from then on."""
    visitor.person.need(Scope.OPERATE)

    def does() -> str:
        # Learning needs the models, and would wait for them as long as they take.
        if waits := _not_ready(parts):
            raise Unavailable(f"cannot learn yet: {waits}")
        right = posted.text("type", 200)
        parts.desk.correct(visitor.person, incident_id, right, posted.text("reason"))
        return f"Learned as {right}. The next event like it is diagnosed with this as evidence."

    return act(request, f"/incidents/{incident_id}", does)
