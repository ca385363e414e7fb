"""Diagnose: an answer without storing anything."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.diagnosis.diagnosis import Symptom
from app.foundation.record import Record
from app.intake.event import LOG_LIMIT
from app.intake.redact import redact
from app.web.deps import PartsDep, Reader

router = APIRouter(tags=["diagnosis"])


class Question(Record):
    message: str = Field(min_length=1, max_length=LOG_LIMIT)
    log: str = Field("", max_length=LOG_LIMIT)
    system: str = Field("", max_length=500)
    kind: str = Field("", max_length=500)


@router.post("/diagnose", summary="Diagnose a message")
def diagnose(body: Question, parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Type, confidence, strategy and evidence; nothing is stored and nothing is done."""
    symptom = Symptom(message=redact(body.message), log=redact(body.log), system=body.system, kind=body.kind)
    return parts.diagnose().diagnose(symptom).model_dump(mode="json")
