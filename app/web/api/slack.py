"""Slack: where clicks come in, as the app's interactivity address."""

from fastapi import APIRouter, Request, Response

from app.foundation.errors import NotFound
from app.web.body import read_body
from app.web.deps import parts_of

router = APIRouter(tags=["slack"])


@router.post("/slack/events", summary="Take a click in Slack")
async def take(request: Request) -> Response:
    """Proves itself by Slack's signature, which is checked before anything is parsed and counts once.

    It is acknowledged at once and acted on beside.
    """
    parts = parts_of(request)
    if parts.slack is None:
        raise NotFound("Slack is not set up here: MENDLINE_PEOPLE__SLACK_BOT_TOKEN is empty")
    body = await read_body(request, parts.settings.body_limit)
    headers = {name.lower(): value for name, value in request.headers.items()}
    status, media_type, said = await parts.slack.take(headers, body)
    return Response(said, status, media_type=media_type)
