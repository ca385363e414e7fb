"""Errors on pages: the same sentence that the API answers as a problem, on a small page."""

from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import quote, urlsplit

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.responses import RedirectResponse, Response

from app.foundation.errors import NotSignedIn
from app.web.pages.render import html
from app.web.pages.shown import local
from app.web.problems import Problem

_NOT_PAGES = ("/api/", "/static/", "/docs")
_PROBES = frozenset({"/api", "/healthz", "/readyz", "/metrics"})


def is_page(path: str) -> bool:
    """Whether people look at this path with a browser."""
    return not path.startswith(_NOT_PAGES) and path not in _PROBES


def install(app: FastAPI) -> None:
    """Gives each problem its look on pages; what it says is still decided in `web/problems.py`."""
    for kind, handler in list(app.exception_handlers.items()):
        if kind is not WebSocketRequestValidationError:
            app.add_exception_handler(kind, _looked(cast(_Handler, handler)))


_Handler = Callable[[Request, Exception], Awaitable[Response]]


def _looked(handler: _Handler) -> _Handler:
    async def look(request: Request, error: Exception) -> Response:
        if is_page(request.url.path) and isinstance(error, NotSignedIn):
            return RedirectResponse(f"/sign-in?next={quote(_wanted(request), safe='')}", 303)
        response = await handler(request, error)
        if not is_page(request.url.path) or not isinstance(response, Problem):
            return response
        problem: dict[str, Any] = orjson.loads(response.body)
        places = problem.get("errors", [])
        if isinstance(error, RequestValidationError):
            places = [{**place, "place": place["place"].rpartition(".")[2]} for place in places]
        page = html("problem.html", response.status_code, problem=problem, places=places)
        if "retry-after" in response.headers:
            page.headers["retry-after"] = response.headers["retry-after"]
        return page

    return look


def _wanted(request: Request) -> str:
    """The page to come back to after signing in; of a form, the page that it stood on."""
    url = urlsplit(str(request.url) if request.method == "GET" else request.headers.get("referer", "/"))
    return local(f"{url.path}?{url.query}" if url.query else url.path)
