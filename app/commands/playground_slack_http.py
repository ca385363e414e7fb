"""The HTTP door of the playground's Slack: its Web API, its sockets, and the page with what it posts."""

import json
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from app.commands.playground_slack_page import page

if TYPE_CHECKING:
    from app.commands.playground_slack import Workspace

Json = dict[str, Any]


class No(Exception):
    """An answer with `ok: false`."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.answer = {"ok": False, "error": code, **more}


class Door(BaseHTTPRequestHandler):
    """HTTP: /api/METHOD, /link, and the page."""

    slack: "Workspace"
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/api/"):
            self._call({})
        elif path == "/link":
            self.close_connection = True
            self.slack.link(self)
        elif path == "/version":
            self.reply(200, [len(self.slack.calls), len(self.slack.views)])
        elif path == "/":
            asks = parse_qs(urlsplit(self.path).query).get("as", [""])[0]
            self._send(200, page(self.slack, asks).encode(), "text/html; charset=utf-8")
        else:
            self.reply(404, {"error": "not found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.startswith("/api/"):
            self._call(_given(body, self.headers))
            return
        # Our own page alone may click: another site could not read the answer, but it could ask.
        if self.headers.get("Origin", self.slack.url) != self.slack.url:
            self.reply(403, {"error": "from another site"})
            return
        form = dict(parse_qsl(body.decode()))
        if path == "/click":
            card = next(m for m in self.slack.messages if m["ts"] == form["ts"])
            with suppress(StopIteration):  # it was edited since the page was made
                self.slack.click(form["as"], card, form["verb"], form.get("chosen", ""))
        elif path == "/submit":
            if form.get("cancel"):
                self.slack.views.pop(form["view"], None)
            elif form["view"] in self.slack.views:
                self.slack.submit(form["as"], form["view"], reason=form.get("reason", ""))
        self._send(303, b"", "text/plain", {"Location": f"/?as={form.get('as', '')}"})

    def _call(self, given: Json) -> None:
        url = urlsplit(self.path)
        method = url.path.removeprefix("/api/")
        given = {**dict(parse_qsl(url.query)), **given}
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        queue = self.slack.trouble.get(method)
        trouble = queue.pop(0) if queue else ""
        if trouble == "silent":
            self.close_connection = True
            return
        if trouble.startswith("ratelimited"):
            after = trouble.partition(":")[2] or "1"
            self.reply(429, {"ok": False, "error": "ratelimited"}, {"retry-after": after})
        elif trouble.isdigit():
            self.reply(int(trouble), {"ok": False, "error": "internal_error"})
        elif trouble and trouble != "lost":
            self.reply(200, {"ok": False, "error": trouble})
        else:
            try:
                said = self.slack.answer(method, given, token if scheme == "Bearer" else "")
            except No as no:
                said = no.answer
            if trouble == "lost":
                self.close_connection = True
                return
            self.reply(200, said, {"x-oauth-scopes": ",".join(sorted(self.slack.scopes))})

    def reply(self, status: int, said: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answers in JSON."""
        self._send(status, json.dumps(said).encode(), "application/json; charset=utf-8", headers)

    def _send(self, status: int, body: bytes, media: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


def _given(body: bytes, headers: Any) -> Json:
    if "json" in headers.get("Content-Type", ""):
        found: Json = json.loads(body or b"{}")
        return found
    return dict(parse_qsl(body.decode()))
