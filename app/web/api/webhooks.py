"""Webhooks: other systems' own payloads, each read by its source adapter."""

from fastapi import APIRouter, Request

from app.foundation.errors import NotFound
from app.web.body import read_body
from app.web.deps import parts_of

router = APIRouter(tags=["webhooks"])


@router.post("/webhooks/{source}", status_code=202, summary="Take a webhook")
async def take(source: str, request: Request) -> dict[str, object]:
    """The sender proves itself by its signature or secret, which is checked before anything is parsed."""
    parts = parts_of(request)
    adapter = parts.sources.get(source)
    if adapter is None:
        known = ", ".join(sorted(parts.sources)) or "none: set a webhook's secret to open it"
        raise NotFound(f"no webhook {source!r} is open here (open: {known})")
    body = await read_body(request, parts.settings.body_limit)
    headers = {name.lower(): value for name, value in request.headers.items()}
    adapter.verify(headers, body)
    reports = adapter.parse(headers, body)
    parts.rate_limit.take(f"source:{source}", len(reports))
    accepted = await parts.ingest.ingest(reports, source)
    return {"accepted": [answer.model_dump() for answer in accepted]}
