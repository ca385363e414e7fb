"""Savings: what repairs saved, and the assumptions behind it."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from app.foundation.record import Record
from app.learning.savings import Cost, Minutes, Savings, assume, assumptions, savings
from app.people.person import Person
from app.web.deps import Admin, Parts, PartsDep, Reader

router = APIRouter(tags=["savings"])
_MOST = 1_000


class WantedMinutes(Record):
    """Minutes of a person per incident, of a strategy and a type; each empty means any. Without minutes: taken back."""

    strategy: str = Field("", max_length=200)
    type: str = Field("", max_length=200)
    minutes: float | None = Field(None, ge=0, le=100_000)
    reason: str = Field("", max_length=1000)


class WantedCost(Record):
    """What an hour of a person costs."""

    hourly: float = Field(ge=0, le=1_000_000)
    currency: str = Field("EUR", min_length=1, max_length=10)
    reason: str = Field("", max_length=1000)


def put(parts: Parts, person: Person, wanted: WantedMinutes | WantedCost) -> None:
    """Sets an assumption; pages use it too."""
    told = (Cost if isinstance(wanted, WantedCost) else Minutes).model_validate(wanted.model_dump())
    with parts.database.writing() as session:
        assume(session, parts.taxonomy, told, actor=person.name, at=parts.clock.now())


def saved(parts: Parts, days: int) -> Savings:
    """Of the repairs that ended in so many days."""
    with parts.database.reading() as session:
        return savings(session, parts.taxonomy, parts.clock.now() - timedelta(days=days))


@router.get("/savings", summary="Show what repairs saved")
def read(parts: PartsDep, person: Reader, days: Annotated[int, Query(ge=1, le=3650)] = 30) -> dict[str, Any]:
    """Minutes and cost, by strategy and by incident (the newest 1,000), with the assumptions behind them."""
    found = saved(parts, days)
    return found.model_copy(update={"incidents": found.incidents[:_MOST]}).model_dump(mode="json")


@router.put("/savings/minutes", summary="Assume minutes")
def set_minutes(body: WantedMinutes, parts: PartsDep, person: Admin) -> dict[str, Any]:
    """What a person would have needed for such an incident."""
    put(parts, person, body)
    return _assumed(parts)


@router.put("/savings/cost", summary="Assume a cost")
def set_cost(body: WantedCost, parts: PartsDep, person: Admin) -> dict[str, Any]:
    """What an hour of a person costs."""
    put(parts, person, body)
    return _assumed(parts)


def _assumed(parts: Parts) -> dict[str, Any]:
    with parts.database.reading() as session:
        return assumptions(session).model_dump(mode="json")
