"""Deliveries: what people were told, and what could not be told yet or ever."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.people import store
from app.web.deps import PartsDep, Reader

router = APIRouter(tags=["deliveries"])


@router.get("/deliveries", summary="List messages to people")
def list_(
    parts: PartsDep,
    person: Reader,
    incident: Annotated[str, Query(max_length=100, description="all of this incident")] = "",
) -> dict[str, Any]:
    """Those that are late or were given up, newest first; of one incident all, in time order."""
    with parts.database.reading() as session:
        found = store.deliveries(session, incident)
    return {"items": [one.model_dump(mode="json") for one in found]}
