"""Pages: what people see and click, rendered on the server.

Comes in:  requests of a browser, with a session that an API key opened at `/sign-in`.
Goes out:  HTML that works without scripts; forms that post and redirect. A little JavaScript
           lets the trail follow what is under way.
Rules:     view code shapes records, a template prints them; neither decides anything. What is
           printed is escaped and its control characters made visible: messages are hostile.
           Nothing is loaded from another host.
Files:     `session` who is signed in; `render` and `shown` how things look; one file per page.
Tests:     `tests/web`.
"""

from fastapi import FastAPI

from app.web.deps import Parts
from app.web.pages import (
    calibration,
    docs,
    door,
    errors,
    incidents,
    knowledge,
    runbooks,
    shadow,
    switch,
    trail,
)
from app.web.pages.render import STATIC, Assets
from app.web.pages.session import Cookies


def install(app: FastAPI, parts: Parts) -> None:
    """Puts the pages on the application; the problems' handlers must be there already."""
    app.state.cookies = Cookies(parts.session_secret, parts.clock, parts.settings.session_hours)
    app.state.runbook_records = runbooks.recording(parts.database)
    app.state.counts = incidents.counting(parts.database)
    for module in (door, incidents, trail, runbooks, knowledge, calibration, shadow, switch):
        app.include_router(module.router)
    app.mount("/static", Assets(directory=STATIC), name="static")
    docs.install(app)
    errors.install(app)
