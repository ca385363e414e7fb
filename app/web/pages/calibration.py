"""Calibration: the reliability diagram, the risk-coverage curve, and what is proven about each strategy."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.diagnosis.choose import ESCALATE
from app.diagnosis.reliability import Reliability, reliability
from app.foundation.errors import Unavailable
from app.learning.judged import judged
from app.remediation.record import strategy_records
from app.web.deps import PartsDep
from app.web.pages.render import page
from app.web.pages.session import VisitorDep

router = APIRouter(include_in_schema=False)


@router.get("/calibration")
def calibration(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """Of the cases that ship and of this site; a plot stays empty while there is nothing to measure."""
    shipped: Reliability | None = None
    loading = ""
    try:
        shipped = parts.diagnose().fitted.reliability
    except Unavailable as error:
        loading = error.says
    with parts.database.reading() as session:
        seen = judged(session)
        records = strategy_records(session, parts.taxonomy, parts.strategies, parts.decision)
    here = reliability([one.confidence for one in seen], [one.right for one in seen])
    return page(
        request,
        visitor,
        "calibration.html",
        sources=[
            ("On the cases that ship", "each by models that saw neither it nor its system", shipped),
            ("Here", "incidents that a person or a verified repair has judged", here),
        ],
        loading=loading,
        records=[one for one in records if one.registered and one.strategy != ESCALATE],
        decision=parts.decision,
    )
