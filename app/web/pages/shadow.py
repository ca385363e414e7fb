"""Shadow: what is only recorded, how that would have done, and the form that sets modes."""

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from app.decision import store
from app.decision.mode import Mode
from app.diagnosis.choose import ESCALATE
from app.foundation.errors import Invalid
from app.people.person import Scope
from app.web.api.shadow import Wanted, put, reported
from app.web.deps import PartsDep
from app.web.pages.act import act
from app.web.pages.render import page
from app.web.pages.session import Posted, VisitorDep

router = APIRouter(include_in_schema=False)
_DAYS = 30
_SHOWN = 100


@router.get("/shadow")
def show(request: Request, visitor: VisitorDep, parts: PartsDep) -> Response:
    """The last thirty days; the newest decisions one by one, and every one that would have been wrong."""
    with parts.database.reading() as session:
        modes = store.modes(session)
    found = reported(parts, _DAYS)
    return page(
        request,
        visitor,
        "shadow.html",
        report=found,
        days=_DAYS,
        others=[one for one in found.decisions if one not in found.wrong][:_SHOWN],
        modes=modes,
        choices=list(Mode),
        strategies=[name for name in parts.strategies if name != ESCALATE],
        types=parts.taxonomy.types,
        decision=parts.decision,
    )


@router.post("/shadow/modes")
def set_mode(request: Request, visitor: VisitorDep, parts: PartsDep, posted: Posted) -> Response:
    """Sets a mode, or takes it back."""
    visitor.person.need(Scope.ADMIN)

    def does() -> str:
        fields = ("strategy", "type", "environment", "mode", "reason")
        try:
            wanted = Wanted.model_validate({name: posted.text(name) for name in fields})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise Invalid("the mode cannot be set", places=((str(first["loc"][0]), first["msg"]),)) from None
        put(parts, visitor.person, wanted)
        return f"{wanted.strategy or 'Every strategy'} is set to {wanted.mode} from the next decision on."

    return act(request, "/shadow", does)
