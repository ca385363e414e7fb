"""Calibration: how far confidence can be believed, and what is proven about acting alone."""

from typing import Any

from fastapi import APIRouter

from app.diagnosis.reliability import reliability
from app.learning.judged import judged
from app.remediation.record import strategy_records
from app.web.deps import PartsDep, Reader

router = APIRouter(tags=["diagnosis"])


@router.get("/calibration", summary="Show how honest confidence is")
def calibration(parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Reliability and risk over coverage, of `shipped` and of `here`, and each strategy's guarantee.

    `shipped` was measured on the cases that ship, each by models that saw neither it nor its system;
    `here` on the incidents of this site that a person or a verified repair has judged since. Either is
    null while there is nothing to measure.
    """
    shipped = parts.diagnose().fitted.reliability
    with parts.database.reading() as session:
        seen = judged(session)
        records = strategy_records(session, parts.taxonomy, parts.strategies, parts.decision)
    here = reliability([one.confidence for one in seen], [one.right for one in seen])
    return {
        "shipped": shipped.model_dump(mode="json") if shipped else None,
        "here": here.model_dump(mode="json") if here else None,
        "strategies": {
            record.strategy: record.guarantee.model_dump(mode="json")
            | {"holds": record.guarantee.holds, "says": record.guarantee.says}
            for record in records
            if record.registered
        },
    }
