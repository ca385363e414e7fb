"""The pause switch, which stands in the header of every page."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.decision import store
from app.foundation.errors import Invalid
from app.people.person import Scope
from app.web.deps import PartsDep
from app.web.pages.act import act
from app.web.pages.session import Posted, VisitorDep

router = APIRouter(include_in_schema=False)


@router.post("/pause")
def turn(request: Request, visitor: VisitorDep, parts: PartsDep, posted: Posted) -> Response:
    """Pauses or resumes, and goes back to the page that the switch was turned on."""
    visitor.person.need(Scope.OPERATE)

    def does() -> str:
        to = posted.text("to")
        if to not in ("paused", "running"):
            raise Invalid("turn the switch to paused or running")
        said = store.pause if to == "paused" else store.resume
        with parts.database.writing() as session:
            said(session, actor=visitor.person.name, reason=posted.text("reason"), at=parts.clock.now())
        if to == "paused":
            return "Repairs are paused. What is under way is finished or undone; nothing new begins."
        return "Repairs go on."

    return act(request, posted.text("here", 500), does)
