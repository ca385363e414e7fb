"""Webhook: each message as JSON to an address of yours.

Sends:  POST of the message; `Idempotency-Key` is the message's own, so one that comes twice can be told.
Keeps:  nothing; every message stands alone.
"""

from collections.abc import Callable
from typing import Literal

import httpx

from app.people.channel import ChannelParams
from app.people.message import Card, Message
from app.people.sending import sent
from app.systems.connections import SecretRef


class WebhookParams(ChannelParams):
    """`url` holds an address, which is as good as a password."""

    type: Literal["webhook"] = "webhook"
    url: SecretRef


class Webhook:
    """Implements Channel."""

    def __init__(self, address: Callable[[], str], timeout: float) -> None:
        """`timeout`: seconds for one message; the address is read for each, so that it may be changed."""
        self._address = address
        self._client = httpx.Client(timeout=timeout)

    def deliver(self, message: Message, card: Card | None, reference: str) -> str:
        sent(
            lambda: self._client.post(
                self._address(),
                content=message.model_dump_json(),
                headers={"content-type": "application/json", "idempotency-key": message.key},
            )
        )
        return ""

    def refresh(self, card: Card, reference: str) -> None:
        """Nothing: what was posted stands."""

    def close(self) -> None:
        self._client.close()
