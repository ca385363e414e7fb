"""Knowledge: the strategies with their record."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.remediation.record import strategy_records
from app.web.deps import PartsDep
from app.web.pages.render import page
from app.web.pages.session import VisitorDep

router = APIRouter(include_in_schema=False)


@router.get("/strategies")
def strategies(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """Each with its record here, the interval of its success, and what it starts from."""
    with parts.database.reading() as session:
        found = strategy_records(session, parts.taxonomy, parts.strategies, parts.decision)
    return page(request, visitor, "strategies.html", records=sorted(found, key=lambda r: not r.registered))
