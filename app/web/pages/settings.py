"""Settings: what is in force, for who operates it; of a secret only that it is set."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.people.person import Scope
from app.web.deps import PartsDep
from app.web.pages.render import page
from app.web.pages.session import VisitorDep

router = APIRouter(include_in_schema=False)


@router.get("/settings")
def show(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """Every variable with its value."""
    visitor.person.need(Scope.OPERATE)
    return page(request, visitor, "settings.html", settings=parts.settings_in_force)
