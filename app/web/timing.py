"""Timing: how long each answer took, by the template of its route. Pure ASGI, because events come in through it."""

import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from fastapi.routing import iter_route_contexts
from prometheus_client import Histogram
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.foundation import metrics

# Whatever else a client writes there would be a label of its choice.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def templates(routes: Iterable[BaseRoute]) -> dict[Any, str]:
    """The path of each endpoint, as `/incidents/{incident_id}`."""
    routes = list(routes)
    mounts = {route.app: route.path for route in routes if isinstance(route, Mount)}
    return mounts | {
        one.endpoint: one.path for one in iter_route_contexts(routes) if one.endpoint and one.path
    }


@cache
def _seconds(method: str, route: str, status: int) -> Histogram:
    # Finding the one of these labels anew costs as much as observing.
    return metrics.REQUEST_SECONDS.labels(method, route, str(status))


class Timing:
    """Observes each request once its answer is sent."""

    def __init__(self, app: ASGIApp, templates: Mapping[Any, str]) -> None:
        self._app = app
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noticing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noticing)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = self._templates.get(scope.get("endpoint"), "none")
            _seconds(method, route, status).observe(time.perf_counter() - began)
