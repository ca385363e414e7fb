"""Slack: one message per incident with the buttons that apply now, and every message in its thread.

Sends:  chat.postMessage for the card and each reply, chat.update when the incident changed since.
Keeps:  the channel and the time stamp of the card, `C012AB3CD/1700000000.000100`.
Once:   Slack takes no key, so what is posted names itself in its metadata, and is looked for before it is
        posted where an earlier try may have arrived (after a start, after a lost answer): among the newest
        200 messages since the incident began. Without the scope to read them it may be shown twice.
Gone:   when somebody deleted the card, the next message begins a new one.
From:   Slack's references of chat.postMessage, chat.update, conversations.history and conversations.replies.
"""

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from app.foundation.ids import derived_id
from app.people import slack_blocks as blocks
from app.people.channel import ChannelParams
from app.people.message import Card, Message
from app.people.settings import PeopleSettings
from app.people.slack_api import Refused, Unanswered, asked, web_client

_EVENT = "mendline"
_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "cannot_reply_to_message"})
_BAD_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
# What somebody must see although it stands in a thread that they may not follow.
_LOUD = frozenset({"waiting", "reminder", "escalated"})
_REMEMBERED = 10_000


class SlackParams(ChannelParams):
    """`channel` is its id, at the bottom of the channel's details in Slack."""

    type: Literal["slack"]
    channel: Annotated[str, Field(pattern=r"^[CGD][A-Z0-9]{2,}$")]


class Slack:
    """Implements Channel."""

    def __init__(self, params: SlackParams, settings: PeopleSettings) -> None:
        self._channel = params.channel
        self._client = web_client(settings)
        self._quiet_until = 0.0
        # What this process knows: how the card of each incident looks, and in which threads no answer was lost.
        self._shown: dict[str, object] = {}
        self._sure: set[str] = set()

    def deliver(self, message: Message, card: Card | None, reference: str) -> str:
        try:
            thread = self._told(message, card, reference)
        except Unanswered:
            self._sure.discard(message.incident_id)
            raise
        except Refused as refused:
            if refused.reason not in _GONE:
                raise
            self._shown.pop(message.incident_id, None)
            thread = self._told(message, card, "")
        if len(self._sure) >= _REMEMBERED:
            self._sure.clear()
        self._sure.add(message.incident_id)
        return thread

    def refresh(self, card: Card, reference: str) -> None:
        try:
            self._update(card, reference)
        except Refused as refused:
            if refused.reason not in _GONE:
                raise

    def close(self) -> None:
        """Nothing is kept open."""

    def _told(self, message: Message, card: Card | None, reference: str) -> str:
        """The thread in which it now stands; a new one without a reference. Empty: there is nothing to show."""
        thread = reference or (self._found(card) if card is not None else "")
        fresh = not thread
        if card is not None and fresh:
            thread = self._posted(card)
        elif card is not None:
            self._update(card, thread)
        if thread:
            self._reply(message, thread, fresh=fresh)
        return thread

    def _update(self, card: Card, reference: str) -> None:
        if self._shown.get(card.incident_id) == _look(card):
            return
        channel, _, ts = reference.partition("/")
        self._send(
            self._client.chat_update,
            blocks.card_text(card),
            blocks.card_blocks(card),
            channel=channel,
            ts=ts,
            metadata=_metadata({"incident": card.incident_id}),
        )
        self._remember(card)

    def _posted(self, card: Card) -> str:
        about = {"incident": card.incident_id}
        answer = self._post(self._channel, blocks.card_text(card), blocks.card_blocks(card), about)
        self._remember(card)
        return f"{answer['channel']}/{answer['ts']}"

    def _reply(self, message: Message, thread: str, *, fresh: bool) -> None:
        channel, _, ts = thread.partition("/")
        key = derived_id("msg", message.kind, message.about, message.incident_id)
        sure = fresh or message.incident_id in self._sure
        if not sure and self._replied(channel, ts, key):
            return
        text = blocks.reply_text(message)
        loud = message.kind in _LOUD and not fresh
        self._post(
            channel, text, blocks.reply_blocks(text), {"message": key}, thread_ts=ts, reply_broadcast=loud
        )

    def _post(
        self, channel: str, text: str, shown: Sequence[blocks.Block], about: dict[str, str], **more: Any
    ) -> Any:
        return self._send(
            self._client.chat_postMessage,
            text,
            shown,
            channel=channel,
            metadata=_metadata(about),
            unfurl_links=False,
            unfurl_media=False,
            **more,
        )

    def _asked(self, call: Callable[[], Any]) -> Any:
        """Slack's answer; while Slack wants patience, nothing is asked of it at all."""
        left = self._quiet_until - time.monotonic()
        if left > 0:
            raise Refused("Slack asked for patience", "ratelimited", again=True, after=left)
        try:
            return asked(call)
        except Refused as refused:
            if refused.reason != "missing_scope":
                self._quiet_until = time.monotonic() + refused.after
            raise

    def _send(self, call: Any, text: str, shown: Sequence[blocks.Block], **more: Any) -> Any:
        """Better told without buttons than not at all: when Slack dislikes the blocks, the text goes alone."""
        try:
            return self._asked(lambda: call(text=text, blocks=shown, **more))
        except Refused as refused:
            if refused.reason not in _BAD_BLOCKS:
                raise
            return self._asked(lambda: call(text=text, blocks=[], **more))

    def _found(self, card: Card) -> str:
        """The card that an earlier try posted; empty when there is none, or nobody may look."""
        return self._look_for(
            "incident",
            card.incident_id,
            lambda: self._client.conversations_history(
                channel=self._channel,
                oldest=f"{card.since.timestamp():.6f}",
                limit=200,
                include_all_metadata=True,
            ),
        )

    def _replied(self, channel: str, ts: str, key: str) -> bool:
        return bool(
            self._look_for(
                "message",
                key,
                lambda: self._client.conversations_replies(
                    channel=channel, ts=ts, limit=200, include_all_metadata=True
                ),
            )
        )

    def _look_for(self, name: str, value: str, call: Any) -> str:
        try:
            answer = self._asked(call)
        except Refused as refused:
            if refused.reason != "missing_scope":
                raise
            # Who may not look tells people all the same: rather twice than never.
            return ""
        for message in answer["messages"]:
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == _EVENT and metadata["event_payload"].get(name) == value:
                return f"{self._channel}/{message['ts']}"
        return ""

    def _remember(self, card: Card) -> None:
        if len(self._shown) >= _REMEMBERED:
            self._shown.clear()
        self._shown[card.incident_id] = _look(card)


def _look(card: Card) -> object:
    """What a card looks like; two that look the same need no update."""
    return hash(str(blocks.card_blocks(card)))


def _metadata(payload: dict[str, str]) -> dict[str, Any]:
    return {"event_type": _EVENT, "event_payload": payload}
