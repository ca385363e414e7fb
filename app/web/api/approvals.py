"""Approvals: plans that wait for a person."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.foundation.errors import Invalid
from app.foundation.record import Record
from app.people.person import Person
from app.remediation import approve
from app.remediation.approve import Answer
from app.web.deps import Approver, Parts, PartsDep, Reader

router = APIRouter(tags=["approvals"])


class Reply(Record):
    """`plan_hash` binds the answer to the plan that was read; `right_type` corrects the diagnosis."""

    plan_hash: str | None = Field(None, max_length=64)
    reason: str = Field("", max_length=1000)
    right_type: str = Field("", max_length=200)


def give(parts: Parts, person: Person, approval_id: str, answer: Answer, reply: Reply) -> approve.Approval:
    """Records the answer and starts what follows; pages use it too."""
    if reply.right_type and reply.right_type not in parts.taxonomy.types:
        known = ", ".join(parts.taxonomy.types)
        raise Invalid(f"there is no type {reply.right_type!r}", places=(("right_type", f"one of {known}"),))
    with parts.database.writing() as session:
        given = approve.answer(
            session,
            approval_id,
            answer,
            actor=person.name,
            at=parts.clock.now(),
            plan_hash=reply.plan_hash,
            reason=reply.reason,
            right_type=reply.right_type,
        )
    if given.answer is not None:
        parts.answered(approval_id)
    return given


@router.get("/approvals", summary="List approvals that wait")
def list_(parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Longest waiting first."""
    with parts.database.reading() as session:
        return {"items": [item.model_dump(mode="json") for item in approve.waiting(session)]}


@router.get("/approvals/{approval_id}", summary="Read an approval")
def read(approval_id: str, parts: PartsDep, person: Reader) -> dict[str, Any]:
    """With its answer, once it has one."""
    with parts.database.reading() as session:
        return approve.get(session, approval_id).model_dump(mode="json")


@router.post("/approvals/{approval_id}/approve", summary="Approve a plan")
def yes(approval_id: str, body: Reply, parts: PartsDep, person: Approver) -> dict[str, Any]:
    """Single use. The plan is made again first: when it is no longer the one that was approved, nobody acts.

    Where `people` is 2, the first yes leaves `answer` null; a second person must say yes too.
    """
    return give(parts, person, approval_id, Answer.APPROVED, body).model_dump(mode="json")


@router.post("/approvals/{approval_id}/deny", summary="Deny a plan")
def no(approval_id: str, body: Reply, parts: PartsDep, person: Approver) -> dict[str, Any]:
    """With `right_type` the incident is diagnosed again, with that as knowledge; else a person takes over."""
    return give(parts, person, approval_id, Answer.DENIED, body).model_dump(mode="json")
