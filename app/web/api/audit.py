"""Audit: the chain over what was decided, answered and done, to be kept elsewhere."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.db import audit
from app.web.deps import Admin, PartsDep

router = APIRouter(tags=["audit"])


@router.get("/audit", summary="Read the audit trail")
def read(
    parts: PartsDep,
    person: Admin,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """The entries behind `after` with their rows, and the `head` of the whole chain to note."""
    with parts.database.reading() as session:
        return {
            "entries": list(audit.exported(session, after, limit)),
            "head": str(audit.head(session)),
        }
