"""Sessions: who is signed in, in a signed cookie; and what a form must carry to be believed.

A session is its cookie: the id of the key it was opened with, or who the identity provider said that it is,
and a token for forms. Key and role are looked up at every request, so what is taken away ends at once.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer
from pydantic import ValidationError
from starlette.responses import Response

from app.foundation.clock import Clock
from app.foundation.errors import Invalid, NotAllowed, NotSignedIn, Unavailable, WrongMedia
from app.foundation.logging import log
from app.people.directory import Directory
from app.people.person import Person, Scope
from app.web.body import read_body
from app.web.deps import Parts, parts_of
from app.web.identity import Identity, admitted

_FORM_LIMIT = 64 * 1024
_MOST_FIELDS = 50


class Cookie:
    """A cookie that only we can write, no script can read, and that no other site's request carries.

    A `lax` one comes along when another site leads the browser here: from the identity provider back.
    """

    def __init__(
        self,
        name: str,
        secret: str,
        clock: Clock,
        seconds: int,
        path: str = "/",
        samesite: Literal["strict", "lax"] = "strict",
    ) -> None:
        class Timed(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock.now().timestamp())

        self._name, self._seconds, self._path = name, seconds, path
        self._samesite: Literal["strict", "lax"] = samesite
        self._seal = URLSafeTimedSerializer(
            secret, salt=name, signer=Timed, signer_kwargs={"digest_method": hashlib.sha256}
        )

    def read(self, request: Request) -> dict[str, str]:
        """What was put in; empty without the cookie, or when it is forged or too old."""
        try:
            found = self._seal.loads(request.cookies.get(self._name, ""), max_age=self._seconds)
        except BadData:
            return {}
        return found if isinstance(found, dict) else {}

    def put(self, request: Request, response: Response, content: Mapping[str, str]) -> None:
        """Sets it; `Secure` wherever the request came over TLS."""
        response.set_cookie(
            self._name,
            str(self._seal.dumps(dict(content))),
            max_age=self._seconds,
            path=self._path,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite=self._samesite,
        )

    def drop(self, response: Response) -> None:
        """Has the browser forget it."""
        response.delete_cookie(self._name, path=self._path, httponly=True, samesite=self._samesite)


class Cookies:
    """All cookies of the pages.

    session  key's id, or identity, and form token of who is signed in
    door     form token of who is about to sign in; apart, because a link from another site comes
             without the session's cookie and must not overwrite it
    begun    a sign-in by the identity provider that is under way: good once, for ten minutes
    flash    one line to show on the next page
    """

    def __init__(self, secret: str, clock: Clock, hours: float) -> None:
        self.session = Cookie("mendline_session", secret, clock, max(1, int(hours * 3600)))
        self.door = Cookie("mendline_door", secret, clock, 3600, path="/sign-in")
        self.begun = Cookie("mendline_oidc", secret, clock, 600, path="/sign-in", samesite="lax")
        self.flash = Cookie("mendline_flash", secret, clock, 60)


def cookies_of(request: Request) -> Cookies:
    """The cookies that `install` made."""
    cookies: Cookies = request.app.state.cookies
    return cookies


def new_token() -> str:
    """A form token: 192 random bits."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Visitor:
    """Who is signed in, and the token that their forms carry."""

    person: Person
    csrf: str

    def may(self, scope: str) -> bool:
        """For templates: whether the role includes the scope."""
        return self.person.may(Scope(scope))


def visitor(request: Request) -> Visitor:
    """Raises NotSignedIn, NotAllowed for who may not read, Unavailable while people.yaml cannot be read."""
    found = cookies_of(request).session.read(request)
    if not found.get("csrf"):
        raise NotSignedIn("sign in first")
    person = _holder(parts_of(request), found)
    person.need(Scope.READ)
    return Visitor(person, found["csrf"])


def _holder(parts: Parts, found: Mapping[str, str]) -> Person:
    """Whose session it is, with the role that they have now."""
    if found.get("key"):
        return parts.keyring.by_id(found["key"])
    try:
        identity = Identity.model_validate_json(found.get("identity", ""))
    except ValidationError:
        raise NotSignedIn("sign in first") from None
    if parts.provider is None or identity.issuer != parts.provider.issuer:
        raise NotSignedIn("sign in again")
    return admitted(directory_of(parts), identity)


def directory_of(parts: Parts) -> Directory:
    """Who may come in; raises Unavailable while that cannot be read: then nobody does, but by key."""
    try:
        return parts.directory.read()
    except Invalid as error:
        log(__name__).error("directory.unreadable", says=error.says)
        raise Unavailable(
            "people.yaml cannot be read, so only keys open Mendline now; tell an administrator",
            retry_after=30,
        ) from None


class FormOutOfDate(NotAllowed):
    code = "form_out_of_date"


@dataclass(frozen=True)
class Fields:
    """The fields of a form."""

    values: Mapping[str, str]

    def text(self, name: str, most: int = 1000) -> str:
        """The field without surrounding blanks; raises Invalid when it is longer than `most`."""
        value = self.values.get(name, "").replace("\r\n", "\n").replace("\0", "").strip()
        if len(value) > most:
            raise Invalid(f"{name} has {len(value)} characters, {most} is the most")
        return value

    def check(self, token: str) -> None:
        """Raises FormOutOfDate unless the form carries `token`; takes the same time wherever they differ."""
        given = self.values.get("csrf", "")
        if not token or not hmac.compare_digest(given.encode(), token.encode()):
            raise FormOutOfDate("this form is out of date; load the page again and repeat")


async def read_fields(request: Request) -> Fields:
    """The fields of an urlencoded form of at most 64 KiB; of a field that comes twice, the first."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise WrongMedia("send the page's own form")
    body = await read_body(request, _FORM_LIMIT)
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise Invalid("the form has too many fields") from None
    return Fields(dict(reversed(pairs)))


async def posted(request: Request, visitor: Annotated[Visitor, Depends(visitor)]) -> Fields:
    """The form that the visitor sent from one of our pages."""
    fields = await read_fields(request)
    fields.check(visitor.csrf)
    return fields


VisitorDep = Annotated[Visitor, Depends(visitor)]
Posted = Annotated[Fields, Depends(posted)]
