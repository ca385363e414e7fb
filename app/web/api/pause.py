"""Pause: stops every start of a repair."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.decision import store
from app.foundation.record import Record
from app.web.deps import Operator, PartsDep, Reader

router = APIRouter(tags=["pause"])


class Switch(Record):
    paused: bool
    reason: str = Field("", max_length=1000)


@router.get("/pause", summary="Read the pause switch")
def read(parts: PartsDep, person: Reader) -> dict[str, Any]:
    """`paused` is who paused and why, or null."""
    with parts.database.reading() as session:
        return {"paused": store.current(session) or None}


@router.post("/pause", summary="Pause or resume")
def switch(body: Switch, parts: PartsDep, person: Operator) -> dict[str, Any]:
    """What is under way is finished or undone; nothing new begins until it is resumed."""
    with parts.database.writing() as session:
        turn = store.pause if body.paused else store.resume
        turn(session, actor=person.name, reason=body.reason, at=parts.clock.now())
        session.flush()
        return {"paused": store.current(session) or None}
