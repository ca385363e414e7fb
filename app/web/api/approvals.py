"""Approvals: plans that wait for a person."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.foundation.record import Record
from app.people.person import Person
from app.remediation import approve
from app.remediation.approve import Answer
from app.web.deps import Approver, Parts, PartsDep, Reader

router = APIRouter(tags=["approvals"])


class Reply(Record):
    """`plan_hash` binds the answer to the plan that was read; `right_type` corrects the diagnosis.

    `other`, with a no, names the strategy to make a plan of instead.
    """

    plan_hash: str | None = Field(None, max_length=64)
    reason: str = Field("", max_length=1000)
    right_type: str = Field("", max_length=200)
    other: str = Field("", max_length=200)


class Later(Record):
    """For how many minutes nobody is to be reminded."""

    minutes: int = Field(30, ge=1, le=1440)
    reason: str = Field("", max_length=1000)


def give(parts: Parts, person: Person, approval_id: str, answer: Answer, reply: Reply) -> approve.Approval:
    """Records the answer and starts what follows; pages use it too."""
    return parts.desk.answer(
        person,
        approval_id,
        answer,
        plan_hash=reply.plan_hash,
        reason=reply.reason,
        right_type=reply.right_type,
        other=reply.other,
    )


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


@router.post("/approvals/{approval_id}/snooze", summary="Put a question off")
def snooze(approval_id: str, body: Later, parts: PartsDep, person: Approver) -> dict[str, Any]:
    """Nobody is reminded until then, and it waits that much longer."""
    parts.desk.snooze(person, approval_id, timedelta(minutes=body.minutes), body.reason)
    return read(approval_id, parts, person)
