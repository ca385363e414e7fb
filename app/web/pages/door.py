"""The door: signing in with an API key, and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from app.foundation.errors import NotAllowed, NotSignedIn
from app.people.person import Scope
from app.web.deps import PartsDep
from app.web.pages.live import live_of
from app.web.pages.render import html
from app.web.pages.session import (
    Fields,
    Posted,
    VisitorDep,
    cookies_of,
    new_token,
    read_fields,
    visitor,
)
from app.web.pages.shown import local

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def show(request: Request, next: str = "/") -> Response:
    """The form; whoever is signed in already is led on."""
    try:
        visitor(request)
    except (NotSignedIn, NotAllowed):
        return _form(request, local(next))
    return RedirectResponse(local(next), 303)


def _form(request: Request, to: str, says: str = "", status: int = 200) -> Response:
    door = cookies_of(request).door
    token = door.read(request).get("csrf") or new_token()
    response = html("sign_in.html", status, csrf=token, next=to, says=says)
    door.put(request, response, {"csrf": token})
    return response


@router.post("/sign-in")
def enter(request: Request, parts: PartsDep, fields: Annotated[Fields, Depends(read_fields)]) -> Response:
    """Opens a session for a key that may read."""
    cookies = cookies_of(request)
    to = local(fields.text("next", 500))
    token = cookies.door.read(request).get("csrf", "")
    if not token:
        return _form(request, to, "The form was open for too long, or cookies are off. Try again.", 403)
    fields.check(token)
    try:
        person = parts.keyring.person(fields.text("key", 200))
    except NotSignedIn:
        return _form(request, to, "This key is not known or was revoked.", 401)
    if not person.may(Scope.READ):
        return _form(
            request, to, f"A key with the role {person.role} only sends events; it opens no pages.", 403
        )
    response = RedirectResponse(to, 303)
    cookies.session.put(request, response, {"key": person.key_id, "csrf": new_token()})
    cookies.door.drop(response)
    return response


@router.post("/sign-out")
def leave(request: Request, visitor: VisitorDep, posted: Posted) -> Response:
    """Closes the session in this browser, and what its other pages listen to."""
    live_of(request).leave(visitor.csrf)
    response = RedirectResponse("/sign-in", 303)
    cookies_of(request).session.drop(response)
    return response
