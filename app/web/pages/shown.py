"""Shown: how values look on a page. Pure functions, used as filters by the templates."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote, urlsplit

from markupsafe import Markup

T = TypeVar("T")

# Characters that reorder or hide what stands around them; a log line has no honest use for them.
_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_VISIBLE = (
    {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n\r"}
    | {0x7F: "\u2421"}
    | {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
    | {ord(char): f"\\u{ord(char):04x}" for char in _DIRECTIONS}
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_RUNBOOK = re.compile(r"^([a-z0-9-]{1,200})#([a-z0-9-]{1,100})$")


def visible(value: object) -> object:
    """Text with its control and direction characters made visible, and terminal colours dropped.

    The environment's `finalize`: every value that a template prints comes through here before
    it is escaped.
    """
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if "\x1b" in value:
        value = _COLOUR.sub("", value)
    return value if value.isascii() and value.isprintable() else value.translate(_VISIBLE)


def exact(at: datetime) -> str:
    """`2026-11-20 12:00:00 UTC`."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime, now: datetime) -> str:
    """`3 min ago`, `in 2 h`; past thirty days the date."""
    seconds = (now - at).total_seconds()
    size = abs(seconds)
    if size < 1:
        return "now"
    if size >= 30 * 86_400:
        return f"{at:%Y-%m-%d}"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if size >= length:
            told = f"{int(size // length)} {unit}"
            break
    return f"{told} ago" if seconds > 0 else f"in {told}"


def percent(share: float) -> str:
    """`87 %`. What is not certain never reads 0 % or 100 %."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """`30 s`, `5 min`, `1 h`."""
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:g} min"
    return f"{seconds:g} s"


def sentence(text: str) -> str:
    """With a capital at its beginning."""
    return f"{text[:1].upper()}{text[1:]}"


def words(name: str) -> str:
    """`network_timeout` as `network timeout`."""
    return name.replace("_", " ")


def every(points: Sequence[T], most: int) -> list[T]:
    """At most so many of the points, evenly, with the last among them."""
    step = -(-len(points) // most)
    return list(points[::-1][:: step or 1][::-1])


def pair(name: str) -> tuple[str, str]:
    """A choice that is called as its value is."""
    return name, name


def money(amount: float) -> str:
    """`1,234.50`; below zero with a minus sign."""
    return f"{amount:,.2f}".replace("-", "\u2212")


def hours(minutes: float) -> str:
    """`1 h 30 min`; below zero with a minus sign."""
    whole, rest = divmod(round(abs(minutes)), 60)
    told = " ".join(part for part in (f"{whole:,} h" if whole else "", f"{rest} min" if rest else "") if part)
    return f"{chr(0x2212) if minutes < 0 and told else ''}{told or '0 min'}"


def web_address(address: str) -> str:
    """The address when a browser may follow it (http or https), else empty: `javascript:` is foreign text."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and parts.netloc else ""


def runbook_link(ref: str) -> str:
    """Where `id#section` is shown; empty when it names no runbook. Signals stand at the runbook's top."""
    match = _RUNBOOK.match(ref)
    if not match:
        return ""
    anchor = "" if match.group(2) == "signals" else f"#{match.group(2)}"
    return f"/runbooks/{quote(match.group(1), safe='')}{anchor}"


def local(path: str) -> str:
    """`path` when it leads to a page of ours, else `/`: no other host, and not the door itself."""
    if not path.startswith("/") or path.startswith("//") or len(path) > 500:
        return "/"
    if "\\" in path or any(ord(char) < 33 or ord(char) == 127 for char in path):
        return "/"
    return "/" if path.startswith(("/sign-in", "/sign-out", "/api/")) else path
