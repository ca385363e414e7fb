"""A Slack of one's own, on this machine: the Web API, Socket Mode, clicks, and a page that shows the channel.

It is as strict as the real one: tokens and scopes are checked, messages that Slack would refuse are refused
in its words, triggers end after 3 seconds, and what it sends is signed. `mendline demo --slack` lets a person
click in it; the tests drive it by `click` and `submit`.
"""

import hashlib
import hmac
import itertools
import json
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import httpx

from app.commands.playground_slack_http import Door, No
from app.commands.playground_slack_limits import length, wrong_blocks, wrong_metadata, wrong_view
from app.commands.playground_slack_socket import Socket
from app.foundation.clock import Clock, SystemClock

Json = dict[str, Any]

_SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
}
_TRIGGER_SECONDS = 3.0


@dataclass(frozen=True)
class Answered:
    """How the app answered a click, and after how many seconds; status 0: not at all."""

    status: int
    seconds: float


@dataclass
class Workspace:
    """The whole of it. `clicks_to` is the app's interactivity address, where no socket is connected.

    by_http  clicks go over HTTP although a socket is connected.
    members  who is there, by id.                joined   channels that the bot is in; `others` it is not.
    trouble  by method what the next calls get: an error code, `ratelimited:SECONDS`, a status, `lost` (done, but
             never answered) or `silent` (neither).
    """

    clicks_to: str = ""
    by_http: bool = False
    members: dict[str, str] = field(default_factory=lambda: {"U0ADA": "ada", "U0BOB": "bob", "U0EVE": "eve"})
    joined: dict[str, str] = field(default_factory=lambda: {"C0INCIDENTS": "incidents"})
    others: tuple[str, ...] = ("C0ELSEWHERE",)
    scopes: set[str] = field(default_factory=lambda: {"chat:write", "channels:history"})
    bot_token: str = "xoxb-of-the-playground"
    app_token: str = "xapp-of-the-playground"
    signing_secret: str = "signed by the playground"
    clock: Clock = field(default_factory=SystemClock)
    port: int = 0

    def __post_init__(self) -> None:
        self.messages: list[Json] = []
        self.views: dict[str, Json] = {}
        self.trouble: dict[str, list[str]] = {}
        self.calls: list[tuple[str, Json]] = []
        self.acknowledged: list[str] = []
        self._triggers: dict[str, float] = {}
        self._tickets: set[str] = set()
        self._sockets: list[Socket] = []
        self._count = itertools.count(1)
        self._lock = threading.RLock()
        workspace = self

        class At(Door):
            slack = workspace

        self.broken: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), At)
        self._server.daemon_threads = True
        self._server.handle_error = self._broke  # type: ignore[assignment]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.api = f"{self.url}/api/"

    def _broke(self, *_: Any) -> None:
        """Who hangs up is part of the play; anything else is a defect of ours, and tests look for it."""
        if not isinstance(sys.exception(), OSError):
            self.broken.append(traceback.format_exc())

    @property
    def settings(self) -> dict[str, str]:
        """What a Mendline needs to use it over HTTP."""
        return {
            "MENDLINE_PEOPLE__SLACK_API": self.api,
            "MENDLINE_PEOPLE__SLACK_BOT_TOKEN": self.bot_token,
            "MENDLINE_PEOPLE__SLACK_SIGNING_SECRET": self.signing_secret,
        }

    def people(self) -> Json:
        """What a `people.yaml` says of it: two may approve, the last may only look."""
        roles = ["approver"] * (len(self.members) - 1) + ["viewer"]
        people = [
            {"name": name, "role": role, "slack": id_}
            for (id_, name), role in zip(self.members.items(), roles, strict=True)
        ]
        channels = {name: {"type": "slack", "channel": id_} for id_, name in self.joined.items()}
        return {"people": people, "channels": channels, "routes": [{"to": list(channels)}]}

    @contextmanager
    def running(self) -> Iterator["Workspace"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self.hang_up()
            self._server.server_close()

    # --- the Web API ----------------------------------------------------------------------

    def answer(self, method: str, given: Json, token: str) -> Json:
        """The answer to a call; raises No."""
        verb = getattr(self, f"_{method.replace('.', '_')}", None)
        if verb is None:
            raise No("unknown_method")
        if not token:
            raise No("not_authed")
        if token != (self.app_token if method == "apps.connections.open" else self.bot_token):
            raise No("invalid_auth")
        if (scope := _SCOPES.get(method)) and scope not in self.scopes:
            raise No("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
        with self._lock:
            self.calls.append((method, given))
            said: Json = verb(given)
        return {"ok": True, **said}

    def _auth_test(self, given: Json) -> Json:
        return {"team": "Playground", "team_id": "T0PLAY", "user": "mendline", "user_id": "U0BOT"}

    def _apps_connections_open(self, given: Json) -> Json:
        ticket = uuid4().hex
        self._tickets.add(ticket)
        return {"url": f"ws://127.0.0.1:{self._server.server_port}/link?ticket={ticket}"}

    def _chat_postMessage(self, given: Json) -> Json:
        channel = self._channel(given)
        self._content(given)
        if (root := given.get("thread_ts")) and not any(m["ts"] == root for m in self.messages):
            raise No("thread_not_found")
        message = {
            "ts": f"{int(self.clock.now().timestamp())}.{next(self._count):06}",
            "channel": channel,
            "user": "U0BOT",
            "text": given.get("text", ""),
            "blocks": given.get("blocks") or [],
            "metadata": given.get("metadata"),
            "thread_ts": root or "",
            "broadcast": bool(given.get("reply_broadcast")),
            "edited": 0,
            "only": "",
        }
        self.messages.append(message)
        return {"channel": channel, "ts": message["ts"], "message": _shown(message, metadata=False)}

    def _chat_update(self, given: Json) -> Json:
        channel = self._channel(given)
        self._content(given)
        found = [m for m in self.messages if m["ts"] == given.get("ts") and m["channel"] == channel]
        if not found or found[0]["only"]:
            raise No("message_not_found")
        found[0].update(
            text=given.get("text", ""), blocks=given.get("blocks") or [], edited=found[0]["edited"] + 1
        )
        if "metadata" in given:
            found[0]["metadata"] = given["metadata"]
        return {"channel": channel, "ts": found[0]["ts"], "text": found[0]["text"]}

    def _chat_postEphemeral(self, given: Json) -> Json:
        channel = self._channel(given)
        self._content(given)
        if given.get("user") not in self.members:
            raise No("user_not_in_channel")
        ts = f"{int(self.clock.now().timestamp())}.{next(self._count):06}"
        told = {"ts": ts, "channel": channel, "text": given["text"], "only": given["user"]}
        self.messages.append(
            {"user": "U0BOT", "blocks": given.get("blocks") or [], "thread_ts": "", "edited": 0, **told}
        )
        return {"message_ts": ts}

    def _conversations_history(self, given: Json) -> Json:
        channel = self._channel(given)
        oldest, most = float(given.get("oldest") or 0), int(given.get("limit") or 100)
        found = [
            m
            for m in reversed(self.messages)
            if m["channel"] == channel
            and not m["only"]
            and float(m["ts"]) > oldest
            and (not m["thread_ts"] or m["broadcast"])
        ]
        return {
            "messages": [_shown(m, metadata=_yes(given)) for m in found[:most]],
            "has_more": len(found) > most,
        }

    def _conversations_replies(self, given: Json) -> Json:
        channel, root = self._channel(given), given.get("ts", "")
        found = [m for m in self.messages if m["channel"] == channel and root in (m["ts"], m["thread_ts"])]
        if not any(m["ts"] == root for m in found):
            raise No("thread_not_found")
        return {"messages": [_shown(m, metadata=_yes(given)) for m in found if not m["only"]]}

    def _views_open(self, given: Json) -> Json:
        view: Any = json.loads(given["view"]) if isinstance(given.get("view"), str) else given.get("view")
        began = self._triggers.pop(given.get("trigger_id", ""), None)
        if began is None:
            raise No("invalid_trigger_id")
        if time.monotonic() - began > _TRIGGER_SECONDS:
            raise No("expired_trigger_id")
        if says := wrong_view(view):
            raise No("invalid_arguments", response_metadata={"messages": says})
        view_id = f"V{next(self._count):08}"
        self.views[view_id] = view
        return {"view": {**view, "id": view_id}}

    def _channel(self, given: Json) -> str:
        channel = str(given.get("channel", ""))
        if channel in self.others:
            raise No("not_in_channel")
        if channel not in self.joined:
            raise No("channel_not_found")
        return channel

    def _content(self, given: Json) -> None:
        if not given.get("text"):
            raise No("no_text")
        if length(given["text"]) > 40_000:
            raise No("msg_too_long")
        if says := wrong_blocks(given.get("blocks") or []):
            raise No("invalid_blocks", response_metadata={"messages": says})
        if given.get("metadata") and wrong_metadata(given["metadata"]):
            raise No("invalid_metadata_format")

    # --- what people do -------------------------------------------------------------------

    @property
    def cards(self) -> list[Json]:
        """The messages that stand in channels, outside of threads."""
        return [m for m in self.messages if not m["thread_ts"] and not m["only"]]

    def thread(self, card: Json) -> list[Json]:
        """The replies to a message."""
        return [m for m in self.messages if m["thread_ts"] == card["ts"]]

    def told(self, user: str) -> list[str]:
        """What only this user saw."""
        return [m["text"] for m in self.messages if m["only"] == user]

    def buttons(self, card: Json) -> list[str]:
        """The actions that a message offers now."""
        return [
            e["action_id"] for block in card["blocks"] for e in block.get("elements", ()) if "action_id" in e
        ]

    def click(self, user: str, card: Json, verb: str, chosen: str = "") -> Answered:
        """Somebody clicks on what the message offers; raises LookupError when it does not."""
        return self.send(self.clicked(user, card, verb, chosen))

    def clicked(self, user: str, card: Json, verb: str, chosen: str = "") -> Json:
        """The payload of that click."""
        block, element = next(
            (block, element)
            for block in card["blocks"]
            for element in block.get("elements", ())
            if element.get("action_id") == verb
        )
        action = {
            "type": element["type"],
            "action_id": verb,
            "block_id": block.get("block_id", ""),
            "action_ts": f"{self.clock.now().timestamp():.6f}",
        }
        if element["type"] == "static_select":
            option = next(o for o in element["options"] if o["value"] == chosen)
            action |= {"selected_option": option, "placeholder": element["placeholder"]}
        else:
            action |= {"value": element.get("value", ""), "text": element["text"]}
        container = {"type": "message", "message_ts": card["ts"], "channel_id": card["channel"]}
        return {
            "type": "block_actions",
            **self._surroundings(user),
            "container": {**container, "is_ephemeral": False},
            "channel": {"id": card["channel"], "name": self.joined[card["channel"]]},
            "message": {"type": "message", "bot_id": "B0BOT", **_shown(card, metadata=True)},
            "state": {"values": {}},
            "response_url": f"{self.url}/response",
            "actions": [action],
        }

    def submit(self, user: str, view_id: str, **values: str) -> Answered:
        """Somebody fills in a form and sends it."""
        view = self.views.pop(view_id)
        filled = {
            block["block_id"]: {
                block["element"]["action_id"]: {
                    "type": block["element"]["type"],
                    "value": values.get(block["block_id"]) or None,
                }
            }
            for block in view["blocks"]
            if block["type"] == "input"
        }
        whole = {**view, "id": view_id, "team_id": "T0PLAY", "hash": "1", "state": {"values": filled}}
        payload = {"type": "view_submission", **self._surroundings(user), "view": whole, "response_urls": []}
        return self.send(payload)

    def _surroundings(self, user: str) -> Json:
        trigger = f"{next(self._count)}.{uuid4().hex}"
        self._triggers[trigger] = time.monotonic()
        name = self.members.get(user, user.lower())
        return {
            "team": {"id": "T0PLAY", "domain": "playground"},
            "user": {"id": user, "username": name, "name": name, "team_id": "T0PLAY"},
            "api_app_id": "A0PLAY",
            "token": "not used any more",
            "trigger_id": trigger,
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def send(self, payload: Json) -> Answered:
        """Has the app learn of it: over its socket where one is connected, else signed over HTTP."""
        began = time.monotonic()
        if self._sockets and not self.by_http:
            return self._send_to_socket(payload, began)
        body, headers = self.signed(payload)
        try:
            status = httpx.post(
                self.clicks_to, content=body, headers=headers, timeout=3, trust_env=False
            ).status_code
        except httpx.HTTPError:
            status = 0
        return Answered(status, time.monotonic() - began)

    def signed(self, payload: Json, at: float | None = None) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a request, as Slack signs them."""
        body = urlencode({"payload": json.dumps(payload)}).encode()
        when = str(int(self.clock.now().timestamp() if at is None else at))
        digest = hmac.new(self.signing_secret.encode(), f"v0:{when}:".encode() + body, hashlib.sha256)
        return body, {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": when,
            "X-Slack-Signature": f"v0={digest.hexdigest()}",
        }

    # --- Socket Mode ----------------------------------------------------------------------

    @property
    def connected(self) -> int:
        """How many sockets are open."""
        return len(self._sockets)

    def hang_up(self) -> None:
        """Slack closes all sockets, as it does now and then: it says so, and then it does."""
        for socket in list(self._sockets):
            with suppress(OSError):
                socket.send(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
            socket.hang_up()

    def _send_to_socket(self, payload: Json, began: float) -> Answered:
        envelope = uuid4().hex
        whole = {"envelope_id": envelope, "type": "interactive", "payload": payload}
        self._sockets[-1].send(json.dumps({**whole, "accepts_response_payload": False}))
        while envelope not in self.acknowledged and time.monotonic() - began < 3:
            time.sleep(0.01)
        return Answered(200 if envelope in self.acknowledged else 0, time.monotonic() - began)

    def link(self, door: Door) -> None:
        """Serves one socket until it ends."""
        ticket = parse_qs(urlsplit(door.path).query).get("ticket", [""])[0]
        if ticket not in self._tickets:
            door.reply(403, {"error": "no such ticket"})
            return
        self._tickets.discard(ticket)
        socket = Socket(door)
        socket.send(json.dumps({"type": "hello", "num_connections": 1}))
        self._sockets.append(socket)
        try:
            for text in socket:
                self.acknowledged.append(json.loads(text)["envelope_id"])
        finally:
            self._sockets.remove(socket)


def _yes(given: Json) -> bool:
    return str(given.get("include_all_metadata", "")).lower() in ("1", "true")


def _shown(message: Json, *, metadata: bool) -> Json:
    kept: Json = {name: message[name] for name in ("ts", "user", "text", "blocks") if name in message}
    if message.get("thread_ts"):
        kept["thread_ts"] = message["thread_ts"]
    if metadata and message.get("metadata"):
        kept["metadata"] = message["metadata"]
    return kept
