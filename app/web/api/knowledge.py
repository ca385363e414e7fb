"""What is known: strategies with their record, gaps."""

from typing import Any

from fastapi import APIRouter

from app.learning.gaps import gaps, unexplained
from app.remediation.record import strategy_records
from app.web.deps import PartsDep, Reader

router = APIRouter(tags=["knowledge"])


@router.get("/strategies", summary="List strategies")
def strategies(parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Each with its prior, its record here and the interval of its success."""
    with parts.database.reading() as session:
        found = strategy_records(session, parts.taxonomy, parts.strategies, parts.decision)
    return {"items": [record.model_dump(mode="json") for record in found]}


@router.get("/knowledge/gaps", summary="List gaps")
def knowledge_gaps(parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Unexplained incidents that are alike, each group with examples and a name for a new type."""
    retriever = parts.retriever()
    with parts.database.reading() as session:
        unknown = unexplained(session, parts.decision.ask_at)
    found = gaps(unknown, retriever)
    return {"unexplained": len(unknown), "items": [gap.model_dump(mode="json") for gap in found]}
