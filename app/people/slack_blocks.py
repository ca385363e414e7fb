"""Slack's blocks: a card, the messages of its thread and the form for a reason, as Block Kit.

Text of events is foreign: `words` shows it literally, whatever it holds, and never longer than Slack takes.
What a button is about stands in the id of its block, so that a click says which plan its reader saw.
Source of the limits and of the escapes: Slack's references of blocks, block elements and text formatting.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from itertools import accumulate
from typing import Any

from app.foundation.record import Record
from app.people.message import Card, Fix, Message, Question

Block = dict[str, Any]

_TEXT, _HEADER, _LABEL, _CONFIRM, _OPTIONS, _VALUE = 3000, 150, 75, 300, 100, 150
_STEPS, _STEP, _LINE = 6, 200, 400
_SNOOZES = {15: "15 minutes", 60: "1 hour", 240: "4 hours", 720: "12 hours"}  # minutes
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What opens or closes bold, italic, struck-out and code, where Slack would take it for that.
_MARK = re.compile(r"(?<!\w)[*_~`]|[*_~`](?!\w)|`")
_ALIKE = str.maketrans({"*": "\u2217", "_": "\u02cd", "~": "\u223c", "`": "\u02cb"})
_EMOJI = re.compile(r":(?=[\w+'-]*[A-Za-z+][\w+'-]*:)")
_MARKS = {
    "verified": "✅",
    "undone": "↩️",
    "waiting": "✋",
    "reminder": "⏰",
    "escalated": "🔔",
    "stopped": "⏹️",
}


class About(Record):
    """What a button is about: an incident, and the plan or the repair that its reader saw."""

    incident_id: str
    approval_id: str = ""
    plan_hash: str = ""
    remediation_id: str = ""

    def block_id(self, row: str) -> str:
        """The id of a block of buttons; each row of a message has one of its own."""
        return "/".join((row, self.incident_id, self.approval_id, self.plan_hash, self.remediation_id))


def about(block_id: str) -> About:
    """What stands in the id of a block; raises ValueError for one that is not ours."""
    _, *parts = block_id.split("/")
    return About(**dict(zip(About.model_fields, parts, strict=True)))


# --- text -----------------------------------------------------------------------------------------


def words(text: str, most: int = _LINE) -> str:
    """Foreign text on one line, escaped and literal: no markup, mention, link, emoji or hidden character.

    At most `most` characters as Slack counts them (UTF-16 units, after escaping), with an ellipsis when cut.
    """
    line = " ".join("".join(map(_seen, text[: 4 * most])).split())
    line = _MARK.sub(lambda mark: mark[0].translate(_ALIKE), _EMOJI.sub("\u2236", line))
    pieces = [_ESCAPES.get(char, char) for char in line]
    ends = list(accumulate(map(_size, pieces)))
    if not ends or ends[-1] <= most:
        return "".join(pieces)
    return "".join(piece for piece, end in zip(pieces, ends, strict=True) if end < most) + "…"


def _size(text: str) -> int:
    """UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def _seen(char: str) -> str:
    """A blank for what controls, a replacement for what is not seen but changes what is (bidi, zero width)."""
    kind = unicodedata.category(char)
    if kind in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    return "\N{REPLACEMENT CHARACTER}" if kind in ("Cf", "Cs", "Co", "Cn") else char


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": words(text, most) or " ", "emoji": False}


def _mrkdwn(text: str) -> Block:
    # Verbatim: Slack makes no links and mentions of its own out of it.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _section(*lines: str) -> Block:
    return {"type": "section", "text": _mrkdwn("\n".join(line for line in lines if line))}


def _context(*lines: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(line) for line in lines if line]}


def _when(at: datetime, how: str = "{date_short_pretty} at {time}") -> str:
    """A moment in its reader's own zone."""
    return f"<!date^{int(at.timestamp())}^{how}|{at:%Y-%m-%d %H:%M} UTC>"


def _link(url: str, label: str) -> str:
    return f"<{url}|{label}>" if re.fullmatch(r"https?://[^\s<>|]+", url) else ""


# --- the card -------------------------------------------------------------------------------------


def card_text(card: Card) -> str:
    """What a notification shows of the card."""
    asks = f" Waits for {words(card.question.waits_for, 200)}." if card.question else ""
    return f"{words(card.title, 300)}, {words(card.where, 200)}: {words(_state(card), 100)}.{asks}"


def card_blocks(card: Card) -> list[Block]:
    """The one message of an incident: how it stands now, with the buttons that apply now."""
    where = card.where if card.environment in card.where else f"{card.where} ({card.environment})"
    events = f"{card.events} event{'s' if card.events != 1 else ''}"
    what = f"*{words(card.type, 100)}*{_sure(card.confidence)}" if card.type else "not diagnosed yet"
    blocks: list[Block] = [
        {"type": "header", "text": _plain(f"{_icon(card)} {card.title}", _HEADER)},
        {
            "type": "section",
            "fields": [
                _mrkdwn(f"*What*\n{what}"),
                _mrkdwn(f"*Where*\n{words(where)}"),
                _mrkdwn(f"*Since*\n{_when(card.since)}, {events}"),
                _mrkdwn(f"*State*\n{words(_state(card), 100)}; severity {words(card.severity, 20)}"),
            ],
        },
    ]
    if card.evidence:
        blocks.append(_section("*Why*", *(f"• {words(line)}" for line in card.evidence[:3])))
    if card.question is not None:
        blocks += _asked(card, card.question)
    said = [f"*Last answer*  {words(card.said, 800)}"] if card.said else []
    ended = [f"*Last outcome*  {words(card.ended, 800)}"] if card.ended else []
    if said or ended:
        blocks.append(_section(*said, *ended))
    if card.question is None:
        blocks += _afterwards(card)
    blocks.append(_context(_link(card.url, "Open the incident"), words(card.incident_id, 100)))
    return blocks


def _asked(card: Card, question: Question) -> list[Block]:
    fix = question.fix
    this = About(incident_id=card.incident_id, approval_id=question.approval_id, plan_hash=question.plan_hash)
    steps = [step for step in fix.steps if step != fix.summary]
    left = len(steps) - _STEPS
    return [
        {"type": "divider"},
        _section(
            f"*Plan*  {words(fix.summary)}",
            *(f"{n}. {words(step, _STEP)}" for n, step in enumerate(steps[:_STEPS], 1)),
            f"… and {left} more, on the incident's page" if left > 0 else "",
        ),
        {
            "type": "section",
            "fields": [
                _mrkdwn(f"*Risk*\n{_risk(fix)}"),
                _mrkdwn(f"*Undo*\n{words(fix.undo) if fix.undo else '*nothing can be taken back*'}"),
            ],
        },
        _section(
            f"✋ Waits for *{words(question.waits_for, 200)}*, until {_when(question.expires_at)}.",
            words(question.says, 800),
        ),
        *_buttons(
            this.block_id("answer"),
            _approve(fix),
            _button("deny", "Deny…", style="danger"),
            _menu("snooze", "Snooze", _SNOOZES.items()),
        ),
        *_buttons(
            this.block_id("instead"),
            _menu("other", "Other fix", ((name, name) for name in question.others)),
            _wrong_type(card, "The plan is denied, and the incident is diagnosed again with this."),
            _button("approve_why", "Approve, saying why…"),
        ),
    ]


def _afterwards(card: Card) -> list[Block]:
    """What may be said when nothing waits: take the repair back, or name the right type."""
    undo = None
    if card.undoable:
        says = f"{card.ended}. What it changed is put back, where nobody changed it since."
        undo = _button("undo", "Undo", confirm=_confirm("Take this repair back?", says, "Undo it"))
    return _buttons(
        About(incident_id=card.incident_id, remediation_id=card.undoable).block_id("after"),
        undo,
        _wrong_type(card, "It is learned as a case, for the next one like it.") if card.type else None,
    )


def _approve(fix: Fix) -> Block:
    if fix.risk != "high":
        return _button("approve", "Approve", style="primary")
    undo = f"Undo: {fix.undo}" if fix.undo else "Nothing can be taken back"
    return _button(
        "approve",
        "Approve",
        style="primary",
        confirm=_confirm("This is of high risk", f"{fix.summary}. {undo}.", "Approve"),
    )


def _wrong_type(card: Card, follows: str) -> Block | None:
    menu = _menu("type", "Wrong type", ((name, name) for name in card.types))
    if menu is not None:
        menu["confirm"] = _confirm("Is it another type?", follows, "Yes")
    return menu


def _button(verb: str, label: str, **more: Any) -> Block:
    return {"type": "button", "action_id": verb, "text": _plain(label, _LABEL), "value": verb, **more}


def _menu(verb: str, label: str, entries: Iterable[tuple[object, str]]) -> Block | None:
    """A menu; None when it would be empty."""
    options = [
        {"text": _plain(text, _LABEL), "value": str(value)}
        for value, text in entries
        if 1 <= _size(str(value)) <= _VALUE
    ]
    if not options:
        return None
    return {
        "type": "static_select",
        "action_id": verb,
        "placeholder": _plain(label, _LABEL),
        "options": options[:_OPTIONS],
    }


def _buttons(block_id: str, *given: Block | None) -> list[Block]:
    """A row of those that apply; no row when none does."""
    elements = [element for element in given if element is not None]
    return [{"type": "actions", "block_id": block_id, "elements": elements}] if elements else []


def _confirm(title: str, text: str, yes: str) -> Block:
    return {
        "title": _plain(title, 100),
        "text": _plain(text, _CONFIRM),
        "confirm": _plain(yes, 30),
        "deny": _plain("Cancel", 30),
    }


def _sure(confidence: float | None) -> str:
    if confidence is None:
        return ""
    # Rounded up it would claim a certainty that nobody has.
    return ", more than 99 % sure" if confidence > 0.99 else f", {confidence:.0%} sure".replace("%", " %")


def _risk(fix: Fix) -> str:
    return {"high": "🔴 *high*", "medium": "🟠 medium", "low": "🟢 low"}.get(fix.risk, words(fix.risk, 20))


def _state(card: Card) -> str:
    if card.question is not None:
        return "waits for a person"
    return {"firing": "open", "acknowledged": "open, somebody looks at it"}.get(card.state, card.state)


def _icon(card: Card) -> str:
    if card.question is not None:
        return "✋"
    return {"resolved": "✅", "suppressed": "🔕"}.get(card.state, "⚠️")


# --- the thread and the form ----------------------------------------------------------------------


def reply_text(message: Message) -> str:
    """A message as it stands in the thread."""
    return f"{_MARKS.get(message.kind, '•')} *{words(message.kind, 40)}*: {words(message.text, 1500)}"


def reply_blocks(text: str) -> list[Block]:
    """One paragraph that is escaped already."""
    return [_section(text)]


_FORMS = {
    "deny": (
        "Deny this plan",
        "Deny",
        "Nothing is done, and a person takes over. To name the right type instead, use the menu.",
    ),
    "approve_why": ("Approve this plan", "Approve", "It runs as it stands in the message, or not at all."),
}


def reason_form(verb: str, this: About, channel: str) -> Block:
    """The form that asks why a plan is denied or approved."""
    title, submit, says = _FORMS[verb]
    return {
        "type": "modal",
        "callback_id": verb,
        "private_metadata": f"{channel}/{this.block_id(verb)}",
        "title": _plain(title, 24),
        "submit": _plain(submit, 24),
        "close": _plain("Cancel", 24),
        "blocks": [
            _section(says),
            {
                "type": "input",
                "block_id": "reason",
                "optional": True,
                "label": _plain("Why?", 2000),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "reason",
                    "multiline": True,
                    "max_length": 1000,
                    "focus_on_load": True,
                },
            },
        ],
    }


def form_about(private_metadata: str) -> tuple[str, About]:
    """The channel and what the form is about; raises ValueError for one that is not ours."""
    channel, _, block_id = private_metadata.partition("/")
    return channel, about(block_id)


def reason_of(values: dict[str, Any]) -> str:
    """What was written into the form."""
    return ((values.get("reason") or {}).get("reason") or {}).get("value") or ""
