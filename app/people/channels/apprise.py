"""Apprise: e-mail, Teams, Discord, ntfy and a hundred more, by an address of the library of that name.

Sends:  subject and text, for people; never as markup, and nobody is mentioned by what an event says.
Keeps:  nothing; a message that was on its way in a crash may come twice.
"""

import logging
import re
from typing import TYPE_CHECKING, Literal

from app.people.channel import ChannelParams, NotDelivered
from app.people.message import Card, Message
from app.people.sending import LATER
from app.people.wording import body, subject
from app.systems.connections import SecretRef
from app.systems.far_side import FarSideError

if TYPE_CHECKING:
    from apprise import NotifyBase

_MOST = 8000
_STATUS = re.compile(r"error=(\d{3})\b")
# The library does not hand on what Retry-After says.
_AFTER = 60.0
# What chats read as a mention, a masked link or a link with another text; an unseen character keeps it as it is.
_SPOKEN = re.compile(r"[@#](?=\w)|<(?=[!@#]|https?:)|\](?=\()")
# Its warnings name hosts and addresses; what a person must know of them is raised.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False
_MOODS = {"verified": "success", "stuck": "failure", "escalated": "warning", "undone": "warning"}


class AppriseParams(ChannelParams):
    """`url` holds an Apprise address, `mailto://…` or `msteams://…`; it is as good as a password."""

    type: Literal["apprise"]
    url: SecretRef


class OverApprise:
    """Implements Channel."""

    def __init__(self, given: AppriseParams, timeout: float) -> None:
        """`timeout`: seconds for each wait of one message, where the address does not say otherwise."""
        self._given = given
        self._timeout = timeout

    def deliver(self, message: Message, card: Card | None, reference: str) -> str:
        from apprise import Apprise, NotifyFormat

        sender = Apprise()
        sender.add(self._service())
        result = sender.notify(
            title=_as_said(subject(message, card, 150)),
            body=_as_said(body(message, card, _MOST)),
            notify_type=_MOODS.get(message.kind, "info"),
            body_format=NotifyFormat.TEXT,
            interpret_escapes=False,
        )
        if result:
            return ""
        # The library's own words name addresses: only the status is taken from them.
        found = [int(match[1]) for entry in result.logs() if (match := _STATUS.search(entry.message))]
        if not found:
            raise NotDelivered("it was not taken", again=True)
        status = found[-1]
        raise NotDelivered(
            f"answered {status}",
            again=status >= 500 or status in LATER,
            after=_AFTER if status == 429 else 0,
            status=status,
        )

    def check(self) -> str:
        """Names the kind of service; raises NotDelivered when the address is none."""
        return f"an address of {self._service().service_name}"

    def refresh(self, card: Card, reference: str) -> None:
        """Nothing: what was sent stands."""

    def close(self) -> None:
        """Nothing is kept open."""

    def _service(self) -> "NotifyBase":
        from apprise import Apprise, AppriseAsset

        try:
            url = self._given.url.read()
        except FarSideError as error:  # it may be mended
            raise NotDelivered(error.says, again=True) from None
        asset = AppriseAsset(
            app_id="Mendline",
            app_desc="Mendline",
            http_redirects=False,
            pgp_autogen=False,
            pem_autogen=False,
        )
        service = Apprise.instantiate(url, asset=asset)
        if service is None:
            raise NotDelivered("its address is not one that Apprise knows", again=False)
        if "rto=" not in url:
            service.socket_read_timeout = self._timeout
        if "cto=" not in url:
            service.socket_connect_timeout = self._timeout
        return service


def _as_said(text: str) -> str:
    return _SPOKEN.sub(lambda match: f"{match[0]}\u200b", text)
