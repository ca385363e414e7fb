"""Incidents: the list, the trail of one, and what a person may do to it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from app.diagnosis import store as diagnoses
from app.foundation.record import Record
from app.incidents import store
from app.incidents.incident import State
from app.incidents.lifecycle import advance
from app.intake.event import Severity
from app.pipeline.trail import trail
from app.web.deps import Operator, PartsDep, Reader

router = APIRouter(tags=["incidents"])


class Move(Record):
    """To which state, and why."""

    state: State
    reason: str = Field("", max_length=1000)


class Correction(Record):
    """What the type really is, and how one can tell."""

    type: str = Field(max_length=200)
    reason: str = Field("", max_length=1000)


@router.get("/incidents", summary="List incidents")
def list_(
    parts: PartsDep,
    person: Reader,
    state: State | None = None,
    type: Annotated[str, Query(max_length=200, description="of the newest diagnosis")] = "",
    severity: Severity | None = None,
    system: Annotated[str, Query(max_length=500)] = "",
    owner: Annotated[str, Query(max_length=500)] = "",
    environment: Annotated[str, Query(max_length=500)] = "",
    since: Annotated[AwareDatetime | None, Query(description="last seen then or later")] = None,
    search: Annotated[str, Query(max_length=200, description="words that it says, or their beginnings")] = "",
    after: Annotated[str, Query(max_length=200, description="the `next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 25,
) -> dict[str, Any]:
    """Newest first, by keyset: the cost does not grow with the page's depth. With `search`, opened last first."""
    only = store.Only(
        state=state,
        type=type,
        severity=severity,
        system=system,
        owner=owner,
        environment=environment,
        since=since,
        search=search,
    )
    with parts.database.reading() as session:
        found, cursor = store.page(session, only, limit=limit, after=after)
        types = diagnoses.latest(session, [incident.id for incident in found])
    items = []
    for incident in found:
        type_, confidence = types.get(incident.id, (None, None))
        items.append(
            incident.model_dump(mode="json", exclude={"why", "template", "message"})
            | {"type": type_, "confidence": confidence, "links": {"self": f"/api/v1/incidents/{incident.id}"}}
        )
    return {"items": items, "next": cursor or None}


@router.get("/incidents/{incident_id}", summary="Read an incident's trail")
def read(incident_id: str, parts: PartsDep, person: Reader) -> dict[str, Any]:
    """Everything that happened: events, why grouped, diagnoses, decisions, approvals, repairs, outcomes."""
    return trail(parts.database, incident_id).model_dump(mode="json")


@router.post("/incidents/{incident_id}/state", summary="Move an incident")
def move(incident_id: str, body: Move, parts: PartsDep, person: Operator) -> dict[str, Any]:
    """Acknowledge, resolve, suppress or reopen."""
    with parts.database.writing() as session:
        moved = advance(
            session,
            incident_id,
            body.state,
            actor=person.name,
            reason=body.reason or "by hand",
            at=parts.clock.now(),
        )
    return moved.model_dump(mode="json")


@router.post("/incidents/{incident_id}/correction", status_code=201, summary="Correct a diagnosis")
def correct(incident_id: str, body: Correction, parts: PartsDep, person: Operator) -> dict[str, Any]:
    """Becomes a case at once: the next event like it is diagnosed with it as evidence."""
    return parts.desk.learn(person, incident_id, body.type, body.reason).model_dump(mode="json")
