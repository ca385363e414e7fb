"""Sessions: who is signed in, in a signed cookie; and what a form must carry to be believed.

A session is its cookie: the id of the key it was opened with and a token for forms. The key
is looked up at every request, so a revoked one ends its sessions.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer
from starlette.responses import Response

from app.foundation.clock import Clock
from app.foundation.errors import Invalid, NotAllowed, NotSignedIn, WrongMedia
from app.people.person import Person, Scope
from app.web.body import read_body
from app.web.deps import parts_of

_FORM_LIMIT = 64 * 1024
_MOST_FIELDS = 50


class Cookie:
    """A cookie that only we can write, no script can read, and that no other site's request carries."""

    def __init__(self, name: str, secret: str, clock: Clock, seconds: int, path: str = "/") -> None:
        class Timed(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock.now().timestamp())

        self._name, self._seconds, self._path = name, seconds, path
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
            samesite="strict",
        )

    def drop(self, response: Response) -> None:
        """Has the browser forget it."""
        response.delete_cookie(self._name, path=self._path, httponly=True, samesite="strict")


class Cookies:
    """All cookies of the pages.

    session  key's id and form token of who is signed in
    door     form token of who is about to sign in; apart, because a link from another site comes
             without the session's cookie and must not overwrite it
    flash    one line to show on the next page
    """

    def __init__(self, secret: str, clock: Clock, hours: float) -> None:
        self.session = Cookie("mendline_session", secret, clock, max(1, int(hours * 3600)))
        self.door = Cookie("mendline_door", secret, clock, 3600, path="/sign-in")
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
    """Raises NotSignedIn, or NotAllowed for a key that may not read."""
    found = cookies_of(request).session.read(request)
    if not found.get("key") or not found.get("csrf"):
        raise NotSignedIn("sign in first")
    person = parts_of(request).keyring.by_id(found["key"])
    person.need(Scope.READ)
    return Visitor(person, found["csrf"])


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
