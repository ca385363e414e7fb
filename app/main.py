"""The web application: `create_app` puts the doors on a service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from app import __version__
from app.intake.event import Report
from app.web import problems
from app.web.api import events, router
from app.web.deps import Parts
from app.web.headers import Headers
from app.web.pages import install as install_pages
from app.web.timing import Timing, templates
from app.wiring import Service


def create_app(service: Service) -> FastAPI:
    """The application over one service; starting and stopping it starts and stops the service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        yield
        await asyncio.to_thread(service.close)

    return doors(service.parts, lifespan)


def doors(
    parts: Parts, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None
) -> FastAPI:
    """Everything that answers over HTTP: API, pages, probes."""
    app = FastAPI(
        title="Mendline",
        version=__version__,
        description="From an error event to a verified repair.",
        lifespan=lifespan,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        # Looking for an OpenTelemetry that was set up costs 50 us at every request; ours is at /metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.parts = parts
    problems.install(app)
    app.router.routes.insert(0, events.way_in)
    app.include_router(router)
    install_pages(app, parts)
    _probes(app, parts)
    app.add_middleware(Headers)
    app.add_middleware(Timing, templates=templates(app.routes))

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _complete(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _complete(schema: dict[str, Any]) -> None:
    """Adds what FastAPI cannot know: the event's form, how to sign in, and the form of problems."""
    report = Report.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(report.pop("$defs", {}))
    schemas["Report"] = report
    schemas["Problem"] = {
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object"}},
        },
    }
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
    problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["4XX"] = {"description": "Refused, with the reason", **problem}
            operation["responses"]["5XX"] = {"description": "Try later, or broken", **problem}


def _probes(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> JSONResponse:
        states = parts.readiness()
        # Nobody would be told of anything if it went away because it cannot read whom to tell.
        ready = all(state == "ok" for part, state in states.items() if part != "people")
        return JSONResponse({"ready": ready, **states}, 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(parts.measure), media_type=CONTENT_TYPE_LATEST)
