"""Remediations: undoing one that has ended."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.foundation.record import Record
from app.people.person import Person
from app.remediation import undo
from app.web.deps import Approver, Parts, PartsDep

router = APIRouter(tags=["remediations"])


class Wish(Record):
    """`reason` is kept in the record."""

    reason: str = Field("", max_length=1000)


def take_back(parts: Parts, person: Person, remediation_id: str, reason: str) -> undo.Undo:
    """Records the wish and queues what follows; pages use it too."""
    with parts.database.writing() as session:
        asked = undo.ask(
            session,
            remediation_id,
            actor=person.name,
            reason=reason,
            at=parts.clock.now(),
            within=parts.backups_within,
        )
    parts.undo(remediation_id)
    return asked


@router.post("/remediations/{remediation_id}/undo", status_code=202, summary="Undo an ended repair")
def undo_(remediation_id: str, body: Wish, parts: PartsDep, person: Approver) -> dict[str, Any]:
    """Single use, while its backups are kept. What somebody changed meanwhile is left alone and told of."""
    return take_back(parts, person, remediation_id, body.reason).model_dump(mode="json")
