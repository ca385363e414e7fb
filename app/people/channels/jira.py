"""Jira: one issue for each incident, in Jira Cloud by REST v3.

Sends:  an issue that carries the incident's id as a label, later messages as comments; moves it to done when
        the incident is resolved or suppressed, and back when it fires again.
Keeps:  the issue. It is looked for by its label first, so a crash after it was made makes no second one;
        a comment that was on its way in a crash may come twice.
From:   https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/ (summary 255, description 32,767).
"""

from typing import Any, Literal

import httpx
from pydantic import Field

from app.people.channel import ChannelParams, NotDelivered
from app.people.message import NEEDS_A_PERSON, Card, Kind, Message
from app.people.sending import sent, told
from app.people.wording import body, subject
from app.systems.connections import HttpsAddress, SecretRef

_MOST_SUMMARY = 255
_MOST_TEXT = 30_000


class JiraParams(ChannelParams):
    """`site`: as https://acme.atlassian.net; `email` and `token`: of the account that writes.

    done, reopened   the statuses to move to; where the workflow has no such status, any of that category.
    """

    type: Literal["jira"]
    site: HttpsAddress
    email: str = Field(pattern=r"^[^\s:]+@[^\s:]+$")
    token: SecretRef
    project: str = Field(pattern=r"^[A-Z][A-Z0-9_]{1,254}$")
    issue_type: str = "Task"
    done: str = "Done"
    reopened: str = "To Do"
    kinds: tuple[Kind, ...] = NEEDS_A_PERSON


class Jira:
    """Implements Channel."""

    def __init__(self, given: JiraParams, timeout: float) -> None:
        self._given = given
        self._client = httpx.Client(timeout=timeout, base_url=f"{given.site}/rest/api/3/")

    def deliver(self, message: Message, card: Card | None, reference: str) -> str:
        if reference:
            try:
                self._comment(reference, message)
            except NotDelivered as refused:
                if refused.status != 404:
                    raise
            else:
                return reference
        # Without one that we know of, or where somebody deleted it.
        found = self._find(message.incident_id)
        if found is None:
            return self._create(message, card)
        issue, made_by = found
        if made_by != message.key:
            self._comment(issue, message)
        return issue

    def refresh(self, card: Card, reference: str) -> None:
        fields = self._ask("GET", f"issue/{reference}", params={"fields": "status"})["fields"]
        if (fields["status"]["statusCategory"]["key"] == "done") == card.is_over:
            return
        wanted = self._given.done if card.is_over else self._given.reopened
        ways = self._ask("GET", f"issue/{reference}/transitions").get("transitions", [])
        fit = [way for way in ways if (way["to"]["statusCategory"]["key"] == "done") == card.is_over]
        if not fit:
            raise NotDelivered(f"its workflow has no way to {wanted!r} from where it stands", again=False)
        way = next((way for way in fit if way["to"]["name"].casefold() == wanted.casefold()), fit[0])
        self._send("POST", f"issue/{reference}/transitions", json={"transition": {"id": way["id"]}})

    def check(self) -> str:
        """Names the project; raises NotDelivered when it may not be read."""
        return f"writes to {self._ask('GET', f'project/{self._given.project}').get('name', '')!r}"

    def close(self) -> None:
        self._client.close()

    def _find(self, incident_id: str) -> tuple[str, str] | None:
        """The incident's issue, and the key of the message that made it."""
        query = {
            "jql": f'project = "{self._given.project}" AND labels = "{incident_id}" ORDER BY created ASC',
            "maxResults": 1,
            "fields": ["status"],
            "properties": ["mendline"],
        }
        for issue in self._ask("POST", "search/jql", json=query).get("issues", []):
            made_by = issue.get("properties", {}).get("mendline", {}).get("message", "")
            return str(issue["key"]), str(made_by)
        return None

    def _create(self, message: Message, card: Card | None) -> str:
        issue = {
            "fields": {
                "project": {"key": self._given.project},
                "issuetype": {"name": self._given.issue_type},
                "summary": subject(message, card, _MOST_SUMMARY),
                "description": _document(body(message, card, _MOST_TEXT)),
                "labels": [message.incident_id, "mendline"],
            },
            "properties": [{"key": "mendline", "value": {"message": message.key}}],
        }
        return str(self._ask("POST", "issue", json=issue)["key"])

    def _comment(self, issue: str, message: Message) -> None:
        document = _document(body(message, None, _MOST_TEXT))
        self._send("POST", f"issue/{issue}/comment", json={"body": document})

    def _ask(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        return told(self._send(method, path, **what))

    def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        return sent(
            lambda: self._client.request(
                method, path, auth=(self._given.email, self._given.token.read()), **what
            )
        )


def _document(text: str) -> dict[str, Any]:
    """Text in Atlassian's document format, a paragraph a line; nothing in it is read as markup."""
    paragraphs = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}] if line else []}
        for line in text.split("\n")
    ]
    return {"version": 1, "type": "doc", "content": paragraphs}
