"""Savings: what repairs saved, by strategy and by incident, and the assumptions behind it, which can be changed."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from app.diagnosis.choose import ESCALATE
from app.foundation.errors import Invalid
from app.people.person import Scope
from app.web.api.savings import WantedCost, WantedMinutes, put, saved
from app.web.deps import PartsDep
from app.web.pages.act import act
from app.web.pages.render import page
from app.web.pages.session import Posted, VisitorDep

router = APIRouter(include_in_schema=False)
_SPANS = (7, 30, 90, 365)
_SHOWN = 50


@router.get("/savings")
def show(request: Request, visitor: VisitorDep, parts: PartsDep, days: int = 30) -> Response:
    """Of the repairs that ended in so many days."""
    if days not in _SPANS:
        raise Invalid(f"choose one of {', '.join(map(str, _SPANS))} days")
    found = saved(parts, days)
    return page(
        request,
        visitor,
        "savings.html",
        found=found,
        shown=found.incidents[:_SHOWN],
        days=days,
        spans=_SPANS,
        strategies=[name for name in parts.strategies if name != ESCALATE],
        types=parts.taxonomy.types,
    )


@router.post("/savings/assumptions")
def assume(request: Request, visitor: VisitorDep, parts: PartsDep, posted: Posted) -> Response:
    """Sets the minutes of a strategy and a type, or the cost of an hour."""
    visitor.person.need(Scope.ADMIN)

    def does() -> str:
        wanted: WantedMinutes | WantedCost
        try:
            if "hourly" in posted.values:
                wanted = WantedCost.model_validate(_fields(posted, "hourly", "currency", "reason"))
                says = f"An hour is taken to cost {wanted.hourly:g} {wanted.currency}."
            else:
                wanted = WantedMinutes.model_validate(
                    _fields(posted, "strategy", "type", "minutes", "reason")
                )
                told = "taken back" if wanted.minutes is None else f"{wanted.minutes:g} minutes"
                says = f"For {wanted.strategy or wanted.type or 'any incident'}: {told}."
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise Invalid("that is no assumption", places=((str(first["loc"][0]), first["msg"]),)) from None
        put(parts, visitor.person, wanted)
        return says

    return act(request, "/savings", does)


def _fields(posted: Posted, *names: str) -> dict[str, Any]:
    """Those that were filled in: an empty one has its default."""
    return {name: value for name in names if (value := posted.text(name))}
