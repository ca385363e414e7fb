"""Notifications by Apprise: letters to a real SMTP server."""

import email.policy
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from app.people.channel import NotDelivered
from app.people.channels.apprise import AppriseParams, OverApprise
from app.people.message import Message
from app.systems.connections import SecretRef
from tests.contracts.test_channels import CARD, HOSTILE, MESSAGE


class Post:
    """Keeps what is posted; refuses everybody while `refuses`."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.refuses = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return "250 OK"

    def letter(self) -> EmailMessage:
        """The one that came."""
        (envelope,) = self.envelopes
        letter = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        assert isinstance(letter, EmailMessage)
        return letter


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def channel(post: Post, tmp_path: Path) -> Iterator[OverApprise]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(post, hostname="127.0.0.1", port=port)
    server.start()
    url = f"mailto://127.0.0.1:{port}/?mode=insecure&from=mendline@example.com&to=oncall@example.com"
    (tmp_path / "url").write_text(url)
    yield OverApprise(AppriseParams(type="apprise", url=SecretRef(file=tmp_path / "url")), timeout=5)
    server.stop()


def text(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert isinstance(body, EmailMessage)
    return body.get_content()


def test_a_letter_that_a_person_can_act_on(channel: OverApprise, post: Post) -> None:
    channel.deliver(MESSAGE, CARD, "")
    letter = post.letter()
    assert letter["Subject"] == "[production] nightly-load timed out needs a yes or no"
    assert (letter["To"], post.envelopes[0].rcpt_tos) == ("oncall@example.com", ["oncall@example.com"])
    assert [part.get_content_type() for part in letter.walk()] == ["text/plain"]
    lines = text(letter).splitlines()
    assert lines[0] == MESSAGE.text
    assert "Type: network_timeout, 87% sure" in lines
    assert "Risk: low. Undo: not possible" in lines
    assert lines[-1] == MESSAGE.url


def test_nothing_that_an_event_says_becomes_a_header_or_markup(channel: OverApprise, post: Post) -> None:
    hostile = Message(kind="waiting", incident_id="inc_1", title=HOSTILE, text=HOSTILE, about="apr_1")
    channel.deliver(hostile, CARD.model_copy(update={"environment": "x\r\nCc: evil@example.com"}), "")
    letter = post.letter()
    assert {"Bcc", "Cc"}.isdisjoint(letter.keys())
    assert post.envelopes[0].rcpt_tos == ["oncall@example.com"]
    assert "\n" not in letter["Subject"]
    assert [part.get_content_type() for part in letter.walk()] == ["text/plain"]
    said = letter["Subject"] + text(letter)
    assert "@everyone" not in said
    assert "<!channel>" not in said
    assert "](http" not in said
    assert "\u202e" not in said


def test_a_letter_that_is_refused_is_told_of_without_the_address(channel: OverApprise, post: Post) -> None:
    post.refuses = "550 no such user here"
    with pytest.raises(NotDelivered) as refused:
        channel.deliver(MESSAGE, CARD, "")
    assert refused.value.again
    assert "example.com" not in refused.value.says
    post.refuses = ""
    channel.deliver(MESSAGE, CARD, "")
    assert len(post.envelopes) == 1


@pytest.mark.parametrize("url", ["gopher://nowhere", "not an address", "mailto://", "jsons://"])
def test_an_address_that_is_none_is_not_tried_again(url: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(url)
    channel = OverApprise(AppriseParams(type="apprise", url=SecretRef(file=tmp_path / "url")), timeout=5)
    with pytest.raises(NotDelivered, match="not one that Apprise knows") as refused:
        channel.deliver(MESSAGE, CARD, "")
    assert not refused.value.again
    assert url not in refused.value.says
    with pytest.raises(NotDelivered):
        channel.check()
