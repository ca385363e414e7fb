"""Approvals: every plan that waits for a person, to be read and answered right there."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from sqlmodel import Session
from starlette.responses import Response

from app.decision import store as decisions
from app.decision.decision import Decision
from app.diagnosis import store as diagnoses
from app.foundation.errors import Invalid
from app.incidents import store
from app.incidents.incident import Incident
from app.people.person import Scope
from app.pipeline.marks import APPROVALS, marks
from app.remediation import approve
from app.remediation.approve import Answer, Approval
from app.remediation.record import standing
from app.web.api.approvals import Reply, give
from app.web.deps import Parts, PartsDep
from app.web.pages.act import act
from app.web.pages.render import page
from app.web.pages.session import Fields, Posted, Visitor, VisitorDep

router = APIRouter(include_in_schema=False)
_SHOWN = 25


@dataclass(frozen=True)
class Question:
    """One approval that waits, and what it is about; `type` is that of the newest diagnosis."""

    approval: Approval
    incident: Incident
    asked: Decision | None
    type: str
    confidence: float
    overdue: bool

    @property
    def summary(self) -> str:
        """What would be done, in a line."""
        return self.asked.plan.summary if self.asked and self.asked.plan else ""


def questions(session: Session, now: datetime, limit: int) -> list[Question]:
    """The longest waiting first."""
    waiting = approve.waiting(session, limit=limit)
    known = diagnoses.latest(session, [approval.incident_id for approval in waiting])
    return [
        Question(
            approval,
            store.get(session, approval.incident_id),
            decisions.find(session, approval.decision_id),
            *known.get(approval.incident_id, ("", 0.0)),
            overdue=now >= approval.expires_at,
        )
        for approval in waiting
    ]


@router.get("/approvals")
def show(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """The longest waiting first, each with its plan."""
    with parts.database.reading() as session:
        mark = marks(session, [APPROVALS])[APPROVALS]
        found = questions(session, parts.clock.now(), limit=_SHOWN)
        strategies = {one.asked.strategy for one in found if one.asked}
        standings = {
            name: standing(session, parts.taxonomy, name, parts.decision).says for name in strategies
        }
    return page(
        request,
        visitor,
        "approvals.html",
        mark=mark,
        questions=found,
        standings=standings,
        types=parts.taxonomy.types,
    )


@router.post("/approvals/{approval_id}")
def answer(
    request: Request, approval_id: str, visitor: VisitorDep, parts: PartsDep, posted: Posted
) -> Response:
    """Approves or denies the plan that was read."""
    return answered(request, visitor, parts, posted, approval_id, "/approvals")


def answered(
    request: Request, visitor: Visitor, parts: Parts, posted: Fields, approval_id: str, to: str
) -> Response:
    """Gives the answer of a form and goes back to the page `to`."""
    visitor.person.need(Scope.APPROVE)

    def does() -> str:
        # A form without the plan's hash would answer whatever waits by now: an empty one never matches.
        reply = Reply(
            plan_hash=posted.text("plan_hash", 64),
            reason=posted.text("reason"),
            right_type=posted.text("right_type", 200),
            other=posted.text("other", 200),
        )
        given = _answer(posted.text("answer"))
        approval = give(parts, visitor.person, approval_id, given, reply)
        if waits_for := approval.waits_for:
            return f"You approved. It waits for {waits_for}."
        if given is Answer.APPROVED:
            return "You approved. The plan is made once more, and runs when it is still the same."
        if reply.other:
            return f"You asked for {reply.other} instead. Its plan goes through every gate."
        if reply.right_type:
            return f"You denied. It is diagnosed again, knowing that it is {reply.right_type}."
        return "You denied. A person takes over; nothing runs."

    return act(request, to, does)


def _answer(name: str) -> Answer:
    if name not in (Answer.APPROVED, Answer.DENIED):
        raise Invalid("answer with approved or denied")
    return Answer(name)
