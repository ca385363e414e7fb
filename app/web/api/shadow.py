"""Shadow: what is live and what only recorded, and how the recorded would have done."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from app.decision import store
from app.decision.mode import Mode, ModeSetting, check_names
from app.foundation.record import Record
from app.people.person import Person
from app.remediation.shadow import ShadowReport, shadow_report
from app.web.deps import Admin, Parts, PartsDep, Reader

router = APIRouter(tags=["shadow"])


class Wanted(Record):
    """The mode of a strategy, a type and an environment; each empty means any. `default` takes it back."""

    strategy: str = Field("", max_length=200)
    type: str = Field("", max_length=200)
    environment: str = Field("", max_length=500)
    mode: Mode
    reason: str = Field("", max_length=1000)


def put(parts: Parts, person: Person, wanted: Wanted) -> list[ModeSetting]:
    """Sets a mode and gives those in force; pages use it too."""
    check_names(parts.taxonomy, wanted.strategy, wanted.type)
    setting = ModeSetting(**wanted.model_dump(), actor=person.name, at=parts.clock.now())
    with parts.database.writing() as session:
        store.set_mode(session, setting)
        session.flush()
        return store.modes(session)


def reported(parts: Parts, days: int) -> ShadowReport:
    """The report over so many days."""
    since = parts.clock.now() - timedelta(days=days)
    with parts.database.reading() as session:
        return shadow_report(session, parts.taxonomy, parts.decision, since)


def _items(parts: Parts, modes: list[ModeSetting]) -> dict[str, Any]:
    return {
        "items": [one.model_dump(mode="json") for one in modes],
        "shadow_from_risk": parts.decision.shadow_from_risk,
    }


@router.get("/modes", summary="List modes")
def modes(parts: PartsDep, person: Reader) -> dict[str, Any]:
    """What people set; of those that fit, the one that names most counts, and shadow over live among equals."""
    with parts.database.reading() as session:
        return _items(parts, store.modes(session))


@router.put("/modes", summary="Set a mode")
def set_mode(body: Wanted, parts: PartsDep, person: Admin) -> dict[str, Any]:
    """In force from the next decision on; queued repairs are looked at again when they would start."""
    return _items(parts, put(parts, person, body))


@router.get("/shadow", summary="Score shadow decisions")
def report(
    parts: PartsDep, person: Reader, days: Annotated[int, Query(ge=1, le=3650)] = 30
) -> dict[str, Any]:
    """Per strategy precision, its bound, hours saved and what is still needed; every decision with its score."""
    found = reported(parts, days).model_dump(mode="json")
    for one in found["decisions"]:
        one["links"] = {"incident": f"/api/v1/incidents/{one['incident_id']}"}
    return found
