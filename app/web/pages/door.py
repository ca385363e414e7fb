"""The door: signing in with an API key or by the identity provider, and out."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from app.foundation.errors import MendlineError, NotAllowed, NotFound, NotSignedIn, Unavailable
from app.foundation.logging import log
from app.people.person import Scope
from app.web.deps import PartsDep, parts_of
from app.web.identity import RETURN, Begun, NotProven, Provider, admitted
from app.web.pages.live import live_of
from app.web.pages.render import html
from app.web.pages.session import (
    Fields,
    Posted,
    VisitorDep,
    cookies_of,
    directory_of,
    new_token,
    read_fields,
    visitor,
)
from app.web.pages.shown import local, sentence

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def show(request: Request, next: str = "/") -> Response:
    """The form; whoever is signed in already is led on."""
    try:
        visitor(request)
    except (NotSignedIn, NotAllowed, Unavailable):
        return _form(request, local(next))
    return RedirectResponse(local(next), 303)


def _form(request: Request, to: str, says: str = "", status: int = 200, of_key: bool = True) -> Response:
    """`of_key`: whether `says` is about the key that was given."""
    door = cookies_of(request).door
    provider = parts_of(request).provider
    token = door.read(request).get("csrf") or new_token()
    response = html(
        "sign_in.html",
        status,
        csrf=token,
        next=to,
        says=says,
        of_key=of_key,
        provider=provider.host if provider else "",
    )
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


def _provider(parts: PartsDep) -> Provider:
    if parts.provider is None:
        raise NotFound("no identity provider is set up here; sign in with a key")
    return parts.provider


ProviderDep = Annotated[Provider, Depends(_provider)]


@router.get("/sign-in/oidc")
def begin(request: Request, provider: ProviderDep, next: str = "/") -> Response:
    """Leads to the identity provider; what this browser must come back with stays in its cookie."""
    to = local(next)
    try:
        begun = provider.begin()
    except Unavailable as error:
        return _refused(request, to, error)
    response = RedirectResponse(begun.url, 303)
    cookies_of(request).begun.put(request, response, {"begun": begun.model_dump_json(), "next": to})
    return response


@router.get(RETURN)
def finish(
    request: Request,
    parts: PartsDep,
    provider: ProviderDep,
    state: str = "",
    code: str = "",
    iss: str = "",
    error: str = "",
) -> Response:
    """Opens a session for whom the provider names and people.yaml lets in; what was begun is used up."""
    cookies = cookies_of(request)
    kept = cookies.begun.read(request)
    to = local(kept.get("next", "/"))
    try:
        try:
            begun = Begun.model_validate_json(kept.get("begun", ""))
        except ValidationError:
            raise NotProven(
                "this sign-in was begun too long ago or in another browser; start again"
            ) from None
        if not hmac.compare_digest(state.encode(), begun.state.encode()):
            raise NotProven("this answer belongs to another sign-in; start again")
        if error or not code:
            raise NotProven(f"{provider.host} did not let you in; start again, or sign in with a key")
        directory = directory_of(parts)
        identity = provider.finish(begun, code, iss, directory)
        person = admitted(directory, identity)
    except (NotAllowed, Unavailable) as refused:
        response = _refused(request, to, refused)
    else:
        log(__name__).info("person.signed_in", actor=person.name, role=person.role.value)
        # Not a redirect: the browser would follow it as coming from the provider, without the session's cookie.
        response = html("signed_in.html", next=to)
        session = {"identity": identity.model_dump_json(), "csrf": new_token()}
        cookies.session.put(request, response, session)
        cookies.door.drop(response)
    cookies.begun.drop(response)
    return response


def _refused(request: Request, to: str, error: MendlineError) -> Response:
    return _form(request, to, f"{sentence(error.says)}.", error.status, of_key=False)


@router.post("/sign-out")
def leave(request: Request, visitor: VisitorDep, posted: Posted) -> Response:
    """Closes the session in this browser, and what its other pages listen to."""
    live_of(request).leave(visitor.csrf)
    response = RedirectResponse("/sign-in", 303)
    cookies_of(request).session.drop(response)
    return response
