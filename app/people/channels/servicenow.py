"""ServiceNow: one incident there for each incident here, by the Table API.

Sends:  an incident with ours as its `correlation_id`, later messages as work notes; resolves it when ours is
        resolved or suppressed, and reopens it when it fires again.
Keeps:  the incident. It is looked for by its `correlation_id` first, so a crash after it was made makes no
        second one; a work note that was on its way in a crash may come twice. One that was closed for
        good is never written to: what comes then makes a new one.
From:   https://www.servicenow.com/docs/ (Table API; short_description 160, description and notes 4,000).
"""

import re
from typing import Any, Literal

import httpx
from pydantic import Field

from app.people.channel import ChannelParams, NotDelivered
from app.people.message import NEEDS_A_PERSON, Card, Kind, Message
from app.people.sending import sent, told
from app.people.wording import body, subject
from app.systems.connections import HttpsAddress, SecretRef

_TABLE = "incident"
_IN_PROGRESS, _RESOLVED = "2", "6"
_FINAL = frozenset({"7", "8"})  # closed, cancelled
_MOST_SUMMARY = 160
_MOST_TEXT = 4000
_URGENCY = {"critical": "1", "error": "2", "warning": "3", "info": "3"}


class ServiceNowParams(ChannelParams):
    """`site`: as https://acme.service-now.com; `user` and `password`: of the account that writes.

    group        who gets it: the name of an assignment group.
    close_code   one of the resolution codes that the instance knows.
    """

    type: Literal["servicenow"]
    site: HttpsAddress
    user: str = Field(pattern=r"^[^\s:]+$")
    password: SecretRef
    group: str = ""
    close_code: str = "Solution provided"
    kinds: tuple[Kind, ...] = NEEDS_A_PERSON


class ServiceNow:
    """Implements Channel."""

    def __init__(self, given: ServiceNowParams, timeout: float) -> None:
        self._given = given
        self._client = httpx.Client(
            timeout=timeout,
            base_url=f"{given.site}/api/now/table/",
            headers={"accept": "application/json"},
        )

    def deliver(self, message: Message, card: Card | None, reference: str) -> str:
        if reference and self._state(reference) not in (None, *_FINAL):
            self._note(reference, message)
            return reference
        found = self._find(message.incident_id)
        if found is None:
            return self._create(message, card)
        sys_id, made_by = str(found["sys_id"]), str(found.get("correlation_display", ""))
        if message.key not in made_by:
            self._note(sys_id, message)
        return sys_id

    def refresh(self, card: Card, reference: str) -> None:
        state = self._state(reference)
        if state is None or state in _FINAL or (state == _RESOLVED) == card.is_over:
            return
        change = {"state": _IN_PROGRESS, "work_notes": "It fires again."}
        if card.is_over:
            change = {
                "state": _RESOLVED,
                "close_code": self._given.close_code,
                "close_notes": _plain(card.ended or card.said or f"{card.state} in Mendline"),
            }
        self._send("PATCH", f"{_TABLE}/{reference}", json=change)

    def check(self) -> str:
        """Whether its incidents may be read; raises NotDelivered."""
        self._ask("GET", _TABLE, params={"sysparm_limit": "1", "sysparm_fields": "sys_id"})
        return "its incidents can be read"

    def close(self) -> None:
        self._client.close()

    def _state(self, sys_id: str) -> str | None:
        """None where somebody deleted it."""
        try:
            answer = self._ask("GET", f"{_TABLE}/{sys_id}", params={"sysparm_fields": "sys_id,state"})
        except NotDelivered as refused:
            if refused.status == 404:
                return None
            raise
        return str(answer["result"]["state"])

    def _find(self, incident_id: str) -> dict[str, Any] | None:
        """The newest that is not closed for good."""
        query = f"correlation_id={incident_id}^stateNOT IN7,8^ORDERBYDESCsys_created_on"
        fields = "sys_id,state,correlation_display"
        answer = self._ask(
            "GET",
            _TABLE,
            params={"sysparm_query": query, "sysparm_fields": fields, "sysparm_limit": "1"},
        )
        return next(iter(answer.get("result", [])), None)

    def _create(self, message: Message, card: Card | None) -> str:
        urgency = _URGENCY.get(card.severity if card else "error", "2")
        fields = {
            "short_description": _plain(subject(message, card, _MOST_SUMMARY)),
            "description": _plain(body(message, card, _MOST_TEXT)),
            "correlation_id": message.incident_id,
            "correlation_display": f"Mendline {message.key}",
            "urgency": urgency,
            "impact": urgency,
        }
        if self._given.group:
            fields["assignment_group"] = self._given.group
        return str(self._ask("POST", _TABLE, json=fields)["result"]["sys_id"])

    def _note(self, sys_id: str, message: Message) -> None:
        note = {"work_notes": _plain(body(message, None, _MOST_TEXT))}
        self._send("PATCH", f"{_TABLE}/{sys_id}", json=note)

    def _ask(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        return told(self._send(method, path, **what))

    def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        return sent(
            lambda: self._client.request(
                method, path, auth=(self._given.user, self._given.password.read()), **what
            )
        )


def _plain(text: str) -> str:
    """What stands between `[code]` marks is shown as HTML there: such a mark stays what it is, words."""
    return re.sub(r"\[(/?code)\]", r"(\1)", text, flags=re.IGNORECASE)
