"""Remediations: undoing one that has ended."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.foundation.record import Record
from app.web.deps import Approver, PartsDep

router = APIRouter(tags=["remediations"])


class Wish(Record):
    """`reason` is kept in the record."""

    reason: str = Field("", max_length=1000)


@router.post("/remediations/{remediation_id}/undo", status_code=202, summary="Undo an ended repair")
def undo_(remediation_id: str, body: Wish, parts: PartsDep, person: Approver) -> dict[str, Any]:
    """Single use, while its backups are kept. What somebody changed meanwhile is left alone and told of."""
    return parts.desk.take_back(person, remediation_id, body.reason).model_dump(mode="json")
