"""Render: templates to answers. Everything that a template prints is escaped; nothing is ever marked safe."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from app import __version__
from app.decision import store as decisions
from app.remediation import approve
from app.web.deps import parts_of
from app.web.pages import shown
from app.web.pages.session import Visitor, cookies_of

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"
_SAYS_LIMIT = 600


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for fact in (
        *(shown.exact, shown.ago, shown.percent, shown.duration, shown.hours, shown.money),
        *(shown.words, shown.sentence, shown.every, shown.pair, shown.web_address, shown.runbook_link),
    ):
        made.filters[fact.__name__] = fact
    made.filters["part"] = partial(quote, safe="")
    made.globals["static"] = _static
    made.globals["version"] = __version__
    return made


def _static(name: str) -> str:
    """The address of a static file, with a mark that changes with its content."""
    return f"/static/{name}?v={_MARKS[name]}"


_MARKS = {
    path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    for path in STATIC.iterdir()
    if path.is_file()
}
_ENVIRONMENT = _environment()


class Assets(StaticFiles):
    """Static files; they are asked for with a mark of their content, so they may be kept for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def html(template: str, status: int = 200, policy: str = POLICY, **values: Any) -> HTMLResponse:
    """A page by itself. Not kept by the browser: after signing out, nothing is left to go back to."""
    body = _ENVIRONMENT.get_template(template).render(values)
    return HTMLResponse(body, status, {"content-security-policy": policy, "cache-control": "no-store"})


def page(request: Request, visitor: Visitor, template: str, **values: Any) -> HTMLResponse:
    """A page for who is signed in: with the header, the pause switch, and the line that was left for it."""
    parts, flash = parts_of(request), cookies_of(request).flash
    with parts.database.reading() as session:
        paused = decisions.current(session)
        waiting = approve.count_waiting(session)
    left = flash.read(request)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    response = html(
        template,
        visitor=visitor,
        now=parts.clock.now(),
        paused=paused,
        waiting=waiting,
        flash=left,
        here=here,
        at=request.url.path,
        **values,
    )
    if left:
        flash.drop(response)
    return response


def back(request: Request, to: str, says: str, good: bool = True) -> Response:
    """Leads to the page `to`, which shows in one line what became of a form."""
    response = RedirectResponse(shown.local(to), 303)
    left = {"says": says[:_SAYS_LIMIT], "kind": "good" if good else "bad"}
    cookies_of(request).flash.put(request, response, left)
    return response
