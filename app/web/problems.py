"""Problems: every error as application/problem+json (RFC 9457). The one place that knows how."""

import math
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.foundation import metrics
from app.foundation.errors import Busy, MendlineError, Unavailable
from app.foundation.logging import log

_TITLES = {
    400: "Refused",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Wrong media type",
    422: "Invalid",
    429: "Too many requests",
    500: "Broken",
    503: "Unavailable",
}


_BRING_EVENTS = ("/api/v1/events", "/api/v1/webhooks/")


class Problem(Response):
    media_type = "application/problem+json"

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        places: Any = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        body: dict[str, Any] = {
            "type": f"urn:mendline:problem:{code}",
            "title": _TITLES.get(status, "Error"),
            "status": status,
            "code": code,
            "detail": detail,
        }
        if places:
            body["errors"] = [{"place": place, "says": says} for place, says in places]
        super().__init__(orjson.dumps(body), status, headers)


def problem_of(error: MendlineError) -> Problem:
    """The answer to one of our own errors."""
    headers: dict[str, str] = {}
    if isinstance(error, Busy | Unavailable):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="mendline"'
    return Problem(error.status, error.code, error.says, error.places, headers)


def install(app: FastAPI) -> None:
    """Routes every kind of error to a problem; pages have their own look, chosen by `Accept`."""

    @app.exception_handler(MendlineError)
    async def ours(request: Request, error: MendlineError) -> Response:
        if error.status >= 500 and not isinstance(error, Unavailable):
            log(__name__).error("request.broken", path=request.url.path, exc_info=error)
        if request.method == "POST" and request.url.path.startswith(_BRING_EVENTS):
            metrics.REFUSED.labels(error.code).inc()
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        places = [(".".join(map(str, e["loc"])), str(e["msg"])) for e in error.errors()]
        return Problem(422, "invalid", "the request is not valid", places)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        code = _TITLES.get(error.status_code, "error").lower().replace(" ", "_")
        return Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(OperationalError)
    @app.exception_handler(DBAPIError)
    async def database(request: Request, error: DBAPIError) -> Response:
        log(__name__).error("request.database", path=request.url.path, exc_info=error)
        return Problem(503, "unavailable", "the database did not answer", headers={"retry-after": "2"})

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        log(__name__).error("request.broken", path=request.url.path, exc_info=error)
        return Problem(500, "broken", "something in Mendline is broken; the log has it")
