"""Events in: one object, an array, or NDJSON."""

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route

from app.foundation import metrics, traces
from app.foundation.errors import Invalid, WrongMedia
from app.incidents import store
from app.intake.event import Accepted, Report
from app.intake.ingest import BadElement, read_array, read_many, read_one
from app.people.person import Scope
from app.web.body import read_body
from app.web.deps import PartsDep, Reader, parts_of, person_of

router = APIRouter(tags=["events"])
_NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_SCHEMA = Report.model_json_schema(ref_template="#/components/schemas/{model}")
_SCHEMA.pop("$defs", None)


def _answer(accepted: Accepted) -> dict[str, Any]:
    incident = accepted.incident_id
    return {
        "event_id": accepted.event_id,
        "incident_id": incident,
        "duplicate": accepted.duplicate,
        "links": {
            "event": f"/api/v1/events/{accepted.event_id}",
            "incident": f"/api/v1/incidents/{incident}" if incident else None,
        },
    }


def _batch(accepted: list[Accepted], places: list[int], bad: list[BadElement]) -> Response:
    body = {
        "accepted": [
            {"index": index, **_answer(answer)} for index, answer in zip(places, accepted, strict=True)
        ],
        "errors": [
            {"index": element.index, "errors": [{"place": p, "says": s} for p, s in element.places]}
            for element in bad
        ],
    }
    return Response(orjson.dumps(body), 202, media_type="application/json")


@router.post(
    "/events",
    status_code=202,
    summary="Take events",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/Report"},
                            {
                                "type": "array",
                                "items": {"$ref": "#/components/schemas/Report"},
                                "minItems": 1,
                                "maxItems": 1000,
                            },
                        ]
                    }
                },
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        }
    },
)
async def take(request: Request) -> Response:
    """Stores one event, a JSON array of up to 1,000, or NDJSON, and answers once they are durable.

    The same source and delivery key again is answered as a duplicate and changes nothing. In a
    batch the good elements are kept and the bad ones reported with their index.
    """
    parts = parts_of(request)
    person = person_of(request)
    person.need(Scope.INGEST)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and media not in _NDJSON:
        raise WrongMedia(f"send application/json or application/x-ndjson, not {media or 'nothing'}")
    body = await read_body(request, parts.settings.body_limit)
    source = f"key:{person.name}"
    came_with = request.headers.get("traceparent", "") if traces.on() else ""
    if media in _NDJSON:
        elements: list[Any] = [line for line in body.split(b"\n") if line.strip()]
    elif body.lstrip()[:1] == b"[":
        elements = read_array(body)
    else:
        report = read_one(body)
        parts.rate_limit.take(person.key_id, 1)
        accepted = await parts.ingest.ingest([report], source, came_with)
        return Response(orjson.dumps(_answer(accepted[0])), 202, media_type="application/json")
    if not elements:
        raise Invalid("the batch is empty")
    good, bad = read_many(elements)
    if not good:
        places = [(f"{e.index}.{place}", says) for e in bad[:50] for place, says in e.places]
        raise Invalid("no element of the batch is valid", places=places)
    metrics.REFUSED.labels("invalid").inc(len(bad))
    parts.rate_limit.take(person.key_id, len(good))
    accepted = await parts.ingest.ingest([report for _, report in good], source, came_with)
    return _batch(accepted, [index for index, _ in good], bad)


# The way in for events: finding a route through nested routers and its dependencies costs FastAPI
# as much as all else that is done for one event. The route above documents it.
way_in = Route("/api/v1/events", take, methods=["POST"])


@router.get("/events/{event_id}", summary="Read an event")
def read(event_id: str, parts: PartsDep, person: Reader) -> dict[str, Any]:
    """The event as it was stored: redacted, with its template and its incident's id."""
    with parts.database.reading() as session:
        event, incident_id = store.event(session, event_id)
    return {**event.model_dump(mode="json"), "incident_id": incident_id}
