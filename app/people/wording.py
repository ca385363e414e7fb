"""Wording: a message and its card as plain text, for channels that show text alone.

What events say is foreign: it comes out without control characters, and a line stays one line.
"""

import unicodedata

from app.people.message import Card, Message

_HEADS = {
    "escalated": "needs a person",
    "waiting": "needs a yes or no",
    "reminder": "still needs a yes or no",
    "undone": "was taken back, needs a person",
    "stuck": "is half done, needs a person",
    "handed_over": "is handed over",
    "stopped": "was stopped, needs a person",
    "verified": "is repaired",
}


def subject(message: Message, card: Card | None, most: int) -> str:
    """`[production] nightly-load needs a yes or no`, on one line."""
    where = f"[{card.environment}] " if card and card.environment else ""
    head = f" {_HEADS.get(message.kind, message.kind)}"
    title = one_line(f"{where}{message.title or message.incident_id}", max(1, most - len(head)))
    return title + head


def body(message: Message, card: Card | None, most: int) -> str:
    """What happened, how it stands, and where to look; the last is never cut off."""
    look = f"\n\n{message.url or (card.url if card else '')}".rstrip()
    lines = [message.text, *(["", *_standing(card)] if card else [])]
    return _cut("\n".join(readable(line) for line in lines), most - len(look)) + look


def _standing(card: Card) -> list[str]:
    """One line for each thing that a person at night asks for."""
    sure = f", {card.confidence:.0%} sure" if card.confidence is not None else ""
    lines = [
        f"What: {one_line(card.title, 300)}",
        f"Where: {one_line(card.where, 300)}",
        f"State: {card.state}, {card.severity}, {card.events} events since {card.since:%Y-%m-%d %H:%M} UTC",
    ]
    if card.type:
        lines.append(f"Type: {card.type}{sure}")
    lines += [f"- {one_line(line, 500)}" for line in card.evidence]
    if card.question is not None:
        fix = card.question.fix
        lines.append(f"Plan: {one_line(fix.summary, 500)}")
        lines += [f"- {one_line(step, 300)}" for step in fix.steps[:10]]
        lines.append(f"Risk: {fix.risk}. Undo: {one_line(fix.undo or 'not possible', 300)}")
        waits = f"{card.question.waits_for}, until {card.question.expires_at:%Y-%m-%d %H:%M} UTC"
        lines.append(f"Waits for: {one_line(waits, 300)}")
    lines += [f"Answer: {one_line(card.said, 500)}"] if card.said else []
    lines += [f"Repair: {one_line(card.ended, 500)}"] if card.ended else []
    return lines


def one_line(text: str, most: int) -> str:
    """Without line breaks or anything else that is not seen."""
    return _cut(" ".join(readable(text).split()), most)


def readable(text: str) -> str:
    """Without control characters and those that change the direction of writing; line breaks stay."""
    return "".join(char if char == "\n" or unicodedata.category(char)[0] != "C" else " " for char in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(0, most - 1)]}…"
