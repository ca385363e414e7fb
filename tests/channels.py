"""Far ends of channels, on loopback: PagerDuty, Jira, ServiceNow and a plain receiver, as strict as the real ones.

What breaks their rules is answered as they would, and kept in `problems`.
"""

import base64
import json
import re
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.doubles import Quiet, Served

SECRET = "S3CRET-5f2d9c1b7e6a4d3f8091a2b3c4d5e6f7"
EMAIL = "bot@example.com"


class Far(Served):
    """One far side. `answers` are given to the next requests instead of its own; 0 hangs up without one."""

    # What it gives for the incident when asked what stands there: text of each thing that people see.
    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.problems: list[str] = []
        self.asked: list[tuple[str, str]] = []
        far = self

        class Handler(Quiet):
            def _do(self) -> None:
                body = self.body()
                far.asked.append((self.command, self.path))
                if far.answers:
                    status, headers = far.answers.pop(0)
                    if not status:
                        self.close_connection = True
                        return
                    self.answer(status, {"error": f"as told, {SECRET}"}, headers)
                    return
                try:
                    said = far.take(self, json.loads(body) if body else None)
                except AssertionError as problem:
                    far.problems.append(str(problem))
                    said = 400, {"error": str(problem)}
                self.answer(*said)

            do_GET = do_POST = do_PATCH = do_PUT = _do

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda request, client: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, asked: Quiet, body: Any) -> tuple[int, Any]:
        """Answers one request; an AssertionError is a 400."""
        raise NotImplementedError

    @property
    def threads(self) -> int:
        """How many things it keeps."""
        raise NotImplementedError

    @property
    def seen(self) -> list[str]:
        """Every text that people see there."""
        raise NotImplementedError

    def entry(self, secret: str) -> dict[str, Any]:
        """The channel as people.yaml has it; `secret` is the file with it."""
        raise NotImplementedError


class FarHook(Far):
    """Gets JSON; keeps nothing of an incident."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[dict[str, Any]] = []
        self.keys: list[str] = []

    def take(self, asked: Quiet, body: Any) -> tuple[int, Any]:
        assert asked.headers["Content-Type"] == "application/json"
        assert asked.path == f"/hook/{SECRET}"
        self.got.append(body)
        self.keys.append(asked.headers["Idempotency-Key"] or "")
        return 200, {}

    @property
    def threads(self) -> int:
        return 0

    @property
    def seen(self) -> list[str]:
        return [body["text"] for body in self.got]

    @property
    def secret(self) -> str:
        """What stands in the file."""
        return f"{self.url}/hook/{SECRET}"

    def entry(self, secret: str) -> dict[str, Any]:
        return {"type": "webhook", "url": {"file": secret}}


class FarApprise(FarHook):
    """The same as Apprise's `json://` posts to it."""

    @property
    def seen(self) -> list[str]:
        return [f"{body['title']}\n{body['message']}" for body in self.got]

    @property
    def secret(self) -> str:
        return f"{self.url.replace('http', 'json')}/hook/{SECRET}"

    def entry(self, secret: str) -> dict[str, Any]:
        return {"type": "apprise", "url": {"file": secret}}


class FarPagerDuty(Far):
    """Events API v2; `alerts` are by dedup key, with their state and what was said of them."""

    secret = SECRET[:32]

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[str, dict[str, Any]] = {}

    def take(self, asked: Quiet, body: Any) -> tuple[int, Any]:
        assert (asked.command, asked.path) == ("POST", "/v2/enqueue")
        assert asked.headers["Content-Type"] == "application/json"
        assert len(json.dumps(body)) <= 512_000, "the event is too large"
        known = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links"}
        assert set(body) <= known | {"images"}, f"unknown keys: {set(body) - known}"
        assert body["routing_key"] == self.secret, "invalid routing key"
        assert len(body["routing_key"]) == 32
        assert 1 <= len(body["dedup_key"]) <= 255
        action, key = body["event_action"], body["dedup_key"]
        assert action in ("trigger", "acknowledge", "resolve"), action
        if action == "trigger":
            self._trigger(body)
        else:
            assert not {"payload", "links", "client"} & set(body), f"{action} has no payload"
            alert = self.alerts.get(key)
            if alert is not None and alert["state"] != "resolved":
                alert["state"] = {"acknowledge": "acknowledged", "resolve": "resolved"}[action]
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}

    def _trigger(self, body: Any) -> None:
        payload = body["payload"]
        assert 1 <= len(payload["summary"]) <= 1024, "summary"
        assert "\n" not in payload["summary"]
        assert payload["source"]
        assert payload["severity"] in ("critical", "error", "warning", "info"), payload["severity"]
        fields = {"timestamp", "component", "group", "class", "custom_details"}
        assert set(payload) <= {"summary", "source", "severity"} | fields
        assert "timestamp" not in payload or re.match(r"\d{4}-\d\d-\d\dT.*[+Z]", payload["timestamp"])
        for link in body.get("links", []):
            assert link["href"].startswith("http")
        alert = self.alerts.get(body["dedup_key"])
        if alert is None or alert["state"] == "resolved":
            alert = self.alerts[body["dedup_key"]] = {"state": "triggered", "log": [], "pages": 0}
            alert["pages"] += 1
        alert["log"].append(payload)

    @property
    def threads(self) -> int:
        return len(self.alerts)

    @property
    def seen(self) -> list[str]:
        return [
            one["summary"] + one["custom_details"]["text"]
            for alert in self.alerts.values()
            for one in alert["log"]
        ]

    def entry(self, secret: str) -> dict[str, Any]:
        return {"type": "pagerduty", "key": {"file": secret}, "api": f"{self.url}/v2/enqueue"}


def _signed_in(asked: Quiet, user: str) -> bool:
    given = asked.headers["Authorization"] or ""
    return given == "Basic " + base64.b64encode(f"{user}:{SECRET}".encode()).decode()


class FarJira(Far):
    """Jira Cloud, REST v3: one project with a workflow of three statuses, in which To Do leads to no Done."""

    secret = SECRET
    STATUSES = {
        "10": ("To Do", "new"),
        "20": ("In Progress", "indeterminate"),
        "29": ("Won't Do", "done"),
        "30": ("Done", "done"),
    }

    def __init__(self) -> None:
        super().__init__()
        self.issues: dict[str, dict[str, Any]] = {}
        self.moves = 0
        self.ways = {"10": ("29", "30", "20"), "20": ("29", "30"), "29": ("10",), "30": ("20", "10")}

    def take(self, asked: Quiet, body: Any) -> tuple[int, Any]:
        if not _signed_in(asked, EMAIL):
            return 401, {"errorMessages": ["Client must be authenticated to access this resource."]}
        url = urlsplit(asked.path)
        assert url.path.startswith("/rest/api/3/"), url.path
        path = url.path.removeprefix("/rest/api/3/").split("/")
        if body is not None:
            assert asked.headers["Content-Type"] == "application/json"
        match (asked.command, path):
            case ("POST", ["search", "jql"]):
                return 200, self._search(body)
            case ("POST", ["issue"]):
                return 201, self._create(body)
            case ("GET", ["project", "OPS"]):
                return 200, {"key": "OPS", "name": "Operations"}
            case (_, ["issue", key, *_]) if key not in self.issues:
                return 404, {
                    "errorMessages": ["Issue does not exist or you do not have permission to see it."]
                }
            case ("POST", ["issue", key, "comment"]):
                assert set(body) <= {"body", "properties", "visibility"}
                self.issues[key]["comments"].append(_words(body["body"]))
                return 201, {"id": "1"}
            case ("GET", ["issue", key]):
                assert parse_qs(url.query) == {"fields": ["status"]}
                return 200, {"key": key, "fields": {"status": self._status(self.issues[key]["status"])}}
            case ("GET", ["issue", key, "transitions"]):
                ways = self.ways[self.issues[key]["status"]]
                return 200, {
                    "transitions": [{"id": f"4{to}", "name": "go", "to": self._status(to)} for to in ways]
                }
            case ("POST", ["issue", key, "transitions"]):
                to = body["transition"]["id"].removeprefix("4")
                assert to in self.ways[self.issues[key]["status"]], "no such transition from here"
                self.issues[key]["status"] = to
                self.moves += 1
                return 204, None
        raise AssertionError(f"{asked.command} {url.path} is not there")

    def _status(self, number: str) -> dict[str, Any]:
        name, category = self.STATUSES[number]
        return {"id": number, "name": name, "statusCategory": {"key": category}}

    def _search(self, body: Any) -> Any:
        wanted = re.fullmatch(r'project = "OPS" AND labels = "([\w.-]+)" ORDER BY created ASC', body["jql"])
        assert wanted, body["jql"]
        found = [one for one in self.issues.values() if wanted[1] in one["labels"]]
        return {
            "issues": [{"key": one["key"], "fields": {}, "properties": one["properties"]} for one in found][
                : body["maxResults"]
            ],
            "isLast": True,
        }

    def _create(self, body: Any) -> Any:
        fields = body["fields"]
        assert set(fields) <= {"project", "issuetype", "summary", "description", "labels"}
        assert fields["project"] == {"key": "OPS"}, "project is required"
        assert fields["issuetype"] == {"name": "Task"}
        assert 1 <= len(fields["summary"]) <= 255, "Summary must be less than 255 characters."
        assert "\n" not in fields["summary"], "The summary is invalid because it contains newline characters."
        assert all(re.fullmatch(r"[^\s]{1,255}", label) for label in fields["labels"])
        key = f"OPS-{len(self.issues) + 1}"
        self.issues[key] = {
            "key": key,
            "summary": fields["summary"],
            "description": _words(fields["description"]),
            "labels": fields["labels"],
            "properties": {one["key"]: one["value"] for one in body.get("properties", [])},
            "comments": [],
            "status": "10",
        }
        return {"id": "10001", "key": key, "self": f"{self.url}/rest/api/3/issue/10001"}

    @property
    def threads(self) -> int:
        return len(self.issues)

    @property
    def seen(self) -> list[str]:
        return [
            text
            for one in self.issues.values()
            for text in (one["summary"] + "\n" + one["description"], *one["comments"])
        ]

    def entry(self, secret: str) -> dict[str, Any]:
        return {
            "type": "jira",
            "site": self.url,
            "email": EMAIL,
            "token": {"file": secret},
            "project": "OPS",
        }


def _words(document: Any) -> str:
    """The text of a document; it must be one that Jira takes."""
    assert (document["version"], document["type"]) == (1, "doc")
    lines = []
    for paragraph in document["content"]:
        assert paragraph["type"] == "paragraph", "only paragraphs are told"
        for node in paragraph.get("content", []):
            assert set(node) == {"type", "text"}
            assert node["type"] == "text"
            assert node["text"], "a text node must not be empty"
            assert not re.search(r"[\x00-\x1f\x7f]", node["text"]), "control characters"
        lines.append("".join(node["text"] for node in paragraph.get("content", [])))
    text = "\n".join(lines)
    assert len(text) <= 32_767, "CONTENT_LIMIT_EXCEEDED"
    return text


class FarServiceNow(Far):
    """ServiceNow's Table API over `incident`; a closed one is read-only."""

    secret = SECRET
    FIELDS = {
        "short_description": 160,
        "description": 4000,
        "correlation_id": 100,
        "correlation_display": 100,
        "urgency": 1,
        "impact": 1,
        "assignment_group": 100,
        "work_notes": 4000,
        "state": 1,
        "close_code": 40,
        "close_notes": 4000,
    }

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, dict[str, Any]] = {}
        self.moves = 0

    def take(self, asked: Quiet, body: Any) -> tuple[int, Any]:
        if not _signed_in(asked, "mendline"):
            return 401, {"error": {"message": "User Not Authenticated"}, "status": "failure"}
        url = urlsplit(asked.path)
        path = url.path.removeprefix("/api/now/table/incident").strip("/")
        assert url.path.startswith("/api/now/table/incident")
        assert asked.headers["Accept"] == "application/json"
        if body is not None:
            assert asked.headers["Content-Type"] == "application/json"
            for name, value in body.items():
                assert len(value) <= self.FIELDS[name], f"{name} is too long"
                assert not re.search(r"\[/?code\]", value, re.I), "people would see it as HTML"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if path and path not in self.records:
            return 404, {"error": {"message": "No Record found"}, "status": "failure"}
        match asked.command:
            case "GET" if path:
                return 200, {"result": self.records[path]}
            case "GET":
                return 200, {"result": self._found(unquote(query.get("sysparm_query", "")))}
            case "POST":
                return 201, {"result": self._create(body)}
            case "PATCH":
                return self._change(self.records[path], body)
        raise AssertionError(f"{asked.command} is not there")

    def _found(self, query: str) -> list[Any]:
        if not query:
            return list(self.records.values())[:1]
        wanted = re.fullmatch(r"correlation_id=(\w+)\^stateNOT IN7,8\^ORDERBYDESCsys_created_on", query)
        assert wanted, query
        return [
            one
            for one in reversed(self.records.values())
            if one["correlation_id"] == wanted[1] and one["state"] not in "78"
        ][:1]

    def _create(self, body: Any) -> Any:
        sys_id = f"{len(self.records) + 1:032x}"
        assert body["short_description"]
        self.records[sys_id] = {"sys_id": sys_id, "state": "1", "notes": [], **body}
        return self.records[sys_id]

    def _change(self, record: dict[str, Any], body: Any) -> tuple[int, Any]:
        if record["state"] in "78":
            return 403, {"error": {"message": "Operation Failed"}, "status": "failure"}
        if body.get("state") == "6":
            assert body["close_code"] == "Solution provided"
            assert body["close_notes"], "Data Policy Exception: mandatory"
        if "state" in body:
            self.moves += 1
        record["notes"] += [body["work_notes"]] if "work_notes" in body else []
        record.update({name: value for name, value in body.items() if name != "work_notes"})
        return 200, {"result": record}

    @property
    def threads(self) -> int:
        return len(self.records)

    @property
    def seen(self) -> list[str]:
        return [
            text
            for one in self.records.values()
            for text in (one["short_description"] + "\n" + one["description"], *one["notes"])
        ]

    def entry(self, secret: str) -> dict[str, Any]:
        return {
            "type": "servicenow",
            "site": self.url,
            "user": "mendline",
            "password": {"file": secret},
        }


FARS = {
    "webhook": FarHook,
    "apprise": FarApprise,
    "pagerduty": FarPagerDuty,
    "jira": FarJira,
    "servicenow": FarServiceNow,
}
