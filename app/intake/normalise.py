"""Templates: a message with its volatile parts replaced by named marks.

Two messages with the same template tell of the same kind of event. The patterns stand in
the order in which they must be tried: what contains another comes first. Each mark keeps
the word that a reader, a classifier and a grouper need (`<ip>`, `<path>`), nothing else.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

VERSION = "1"
_LIMIT = 2000

_PATTERNS: tuple[tuple[str, str], ...] = (
    # 2026-11-20T10:11:12.123Z, 20/Nov/2026:10:11:12, 10:11:12,345
    ("time", r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"),
    ("time", r"\b\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d"),
    ("time", r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b"),
    ("uuid", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    # The host stays: which registry answered 503 is part of the cause; its path is not.
    ("url", r"(?<=\w://)[^\s/\"'<>)\]]+/(?!<path>)[^\s\"'<>)\]]*"),
    # Bounded, because unbounded it would read a long word again from each of its beginnings.
    ("email", r"\b[\w.+-]{1,64}@[\w-]{1,255}\.[\w.-]{1,255}\b"),
    ("ip", r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"),
    ("digest", r"\b(?:sha256:)?[0-9a-f]{32,64}\b"),
    ("hex", r"\b0x[0-9a-fA-F]+\b"),
    # Seven or more hex digits with at least one digit and one letter: a commit or object id.
    ("id", r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,31}\b"),
    # The last part of a path is often the word that matters (libfoo.so, orders.csv): it stays.
    ("path", r"(?:(?<=[\s\"'(=:\[])|^)(?:[A-Za-z]:)?(?:[/\\][\w.@+~-]+)+[/\\](?=[\w.@+~-])"),
    # A number inside an identifier that letters touch is a name (utf8, s3, E1101); a suffix is not.
    ("n", r"(?:(?<=[-_.])|\b)\d+(?:\.\d+){0,20}(?=[a-zA-Z]{0,3}\b|_)"),
)
# The codes that name the cause are not volatile: HTTP statuses, exit codes, SQLSTATE-like numbers.
_KEPT_NUMBERS = frozenset(
    [
        "400",
        "401",
        "402",
        "403",
        "404",
        "405",
        "408",
        "409",
        "410",
        "413",
        "415",
        "422",
        "429",
        "499",
        "500",
        "501",
        "502",
        "503",
        "504",
        "507",
        "511",
        "126",
        "127",
        "128",
        "134",
        "137",
        "139",
        "143",
    ]
)

_SUSPECT = re.compile(r"[\d/\\@]")
_SPECIAL = re.compile(r"[/\\@]")


def _marker(patterns: Sequence[tuple[str, str]], begin: str = "") -> Callable[[str], str]:
    """Puts the marks of these patterns, as one expression, tried in their order wherever `begin` matches."""
    marks = [mark for mark, _ in patterns]
    expression = re.compile(begin + "(?:" + "|".join(f"({pattern})" for _, pattern in patterns) + ")")

    def marked(match: re.Match[str]) -> str:
        mark = marks[(match.lastindex or 1) - 1]
        if mark == "n" and match.group() in _KEPT_NUMBERS:
            return match.group()
        if mark == "url":
            return match.group().split("/", 1)[0] + "/<path>"
        return f"<{mark}>"

    return partial(expression.sub, marked)


_mark_all = _marker(_PATTERNS)
# Most words have no slash and no @. What is left begins with a digit, a hex digit or "sha256", and
# saying so first spares two thirds of the tries.
_mark_plain = _marker([p for p in _PATTERNS if p[0] not in ("url", "email", "path")], r"(?=[\da-fA-Fs])")
# As long as that digits alone are a digest, not a number.
_DIGEST = 32


def _normalise(word: str) -> str:
    if len(word) < _DIGEST and word.isdecimal():  # the commonest
        return word if word in _KEPT_NUMBERS else "<n>"
    # A long word seldom comes twice, and 65,536 of them would fill the memory.
    return _remembered(word) if len(word) <= 100 else _normalise_word(word)


def _normalise_word(word: str) -> str:
    return _mark_all(word) if _SPECIAL.search(word) else _mark_plain(word)


_remembered = lru_cache(maxsize=65_536)(_normalise_word)


def normalise(message: str) -> str:
    """The template of `message`: marks for volatile parts, single spaces, at most 2,000 characters.

    Costs time linear in the length; only words with a digit, a slash or an `@` are looked into.
    For messages, not for templates: a template of a template can differ where things stood glued
    together (`10:11:12a@b.example`).
    """
    suspect = _SUSPECT.search
    words = [_normalise(word) if suspect(word) else word for word in message[: 2 * _LIMIT].split()]
    return " ".join(words).replace("<time> <time>", "<time>")[:_LIMIT]
