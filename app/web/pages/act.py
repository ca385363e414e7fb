"""Act: what every form does: try, then go back to the page with one line that says what became of it."""

from collections.abc import Callable

from fastapi import Request
from starlette.responses import Response

from app.foundation.errors import Conflict, Invalid, MendlineError, Unavailable
from app.web.pages.render import back
from app.web.pages.shown import sentence


def act(request: Request, to: str, does: Callable[[], str]) -> Response:
    """Runs `does`, which says what was done. A person who came too late or mistyped is told so in a line too."""
    try:
        return back(request, to, does())
    except (Conflict, Invalid, Unavailable) as error:
        return back(request, to, _sentence(error), good=False)


def _sentence(error: MendlineError) -> str:
    more = "; ".join(f"{place}: {says}" for place, says in error.places)
    said = f"{error.says} ({more})" if more else error.says
    return f"{sentence(said)}."
