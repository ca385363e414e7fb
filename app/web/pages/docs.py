"""The API's reference at `/docs`, with Swagger UI from an installed package instead of another host."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.web.pages.render import html

# Swagger UI writes style attributes and draws its icons from data addresses.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"
)
_OWN = ("/docs", "/docs/oauth2-redirect")


def install(app: FastAPI) -> None:
    """Takes the place of FastAPI's page, which loads from a CDN; without the package, that one stays."""
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        return
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") not in _OWN]

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return html("docs.html", policy=_POLICY, schema=app.openapi_url)

    assets = StaticFiles(directory=Path(package.origin).parent / "static")
    app.mount("/docs/assets", assets, name="docs-assets")
