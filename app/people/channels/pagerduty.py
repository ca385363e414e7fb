"""PagerDuty: one alert for each incident, by the Events API v2.

Sends:  trigger with the incident's id as `dedup_key`, so that telling it again pages nobody twice;
        acknowledge and resolve when the incident is acknowledged, resolved or suppressed here.
Keeps:  the alert. An incident that comes back triggers it anew with its next message.
From:   https://developer.pagerduty.com/docs/events-api-v2/overview/ (limits: summary 1,024, event 512 kB).
"""

from typing import Any, Literal

import httpx

from app.people.channel import ChannelParams
from app.people.message import NEEDS_A_PERSON, Card, Kind, Message
from app.people.sending import sent
from app.people.wording import body, one_line, subject
from app.systems.connections import HttpsAddress, SecretRef

_ACTIONS = {"acknowledged": "acknowledge", "resolved": "resolve", "suppressed": "resolve"}
_MOST_SUMMARY = 1024
_MOST_TEXT = 20_000


class PagerDutyParams(ChannelParams):
    """`key`: the integration's routing key. `api`: for the service region of the EU."""

    type: Literal["pagerduty"]
    key: SecretRef
    api: HttpsAddress = "https://events.pagerduty.com/v2/enqueue"
    kinds: tuple[Kind, ...] = (*NEEDS_A_PERSON, "reminder")


class PagerDuty:
    """Implements Channel."""

    def __init__(self, given: PagerDutyParams, timeout: float) -> None:
        self._given = given
        self._client = httpx.Client(timeout=timeout)

    def deliver(self, message: Message, card: Card | None, reference: str) -> str:
        action = _ACTIONS.get(card.state, "") if card else ""
        if action == "resolve":
            # It ended while the message waited: nobody is woken up for it.
            if reference:
                self._send(message.incident_id, action)
            return reference
        self._send(message.incident_id, "trigger", _alert(message, card))
        return message.incident_id

    def refresh(self, card: Card, reference: str) -> None:
        if action := _ACTIONS.get(card.state):
            self._send(reference, action)

    def close(self) -> None:
        self._client.close()

    def _send(self, key: str, action: str, more: dict[str, Any] | None = None) -> None:
        event = {"event_action": action, "dedup_key": key, **(more or {})}
        sent(
            lambda: self._client.post(self._given.api, json={"routing_key": self._given.key.read(), **event})
        )


def _alert(message: Message, card: Card | None) -> dict[str, Any]:
    url = message.url or (card.url if card else "")
    payload = {
        "summary": one_line(f"{subject(message, card, 200)}: {message.text}", _MOST_SUMMARY),
        "source": one_line(card.where, 300) if card and card.where else "mendline",
        # Ours are theirs: critical, error, warning, info.
        "severity": card.severity if card else "error",
        "custom_details": {"text": body(message, card, _MOST_TEXT)},
    }
    if card is not None:
        payload["timestamp"] = card.last.isoformat()
        payload["class"] = card.type or "undiagnosed"
    event: dict[str, Any] = {"payload": payload, "client": "Mendline"}
    if url:
        event |= {"client_url": url, "links": [{"href": url, "text": "The incident in Mendline"}]}
    return event
