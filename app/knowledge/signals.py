"""Signals: which of many regular expressions match a text, in one pass and linear time.

RE2 and not `re`: signals are written by many people and searched in hostile text, and a
pattern that backtracks for a minute would hold up the diagnosis. (Cox, 2010.)
"""

from collections.abc import Sequence
from typing import Any

import re2


def mistake(signal: str) -> str:
    """Why `signal` is no RE2 expression; empty when it is one. RE2 has no look-around and no back-references."""
    try:
        re2.compile(signal, _options())
    except re2.error as error:
        reason = error.args[0] if error.args else error
        return reason.decode() if isinstance(reason, bytes) else str(reason)
    return ""


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return options


class Signals:
    """A fixed list of expressions, searched together without regard to case."""

    def __init__(self, signals: Sequence[str]) -> None:
        """Every signal must be one that `mistake` finds nothing wrong with."""
        self._signals = tuple(signals)
        # Compiled when it is first found: hundreds take a start a tenth of a second, and few are.
        self._each: dict[int, Any] = {}
        self._all = re2.Set.SearchSet(_options())
        for signal in signals:
            self._all.Add(signal)
        if signals:
            self._all.Compile()

    def search(self, text: str) -> list[tuple[int, str]]:
        """(place in the list, the text that matched) of every signal that occurs in `text`."""
        if not self._signals:
            return []
        found: list[tuple[int, str]] = []
        for place in sorted(self._all.Match(text) or ()):
            if place not in self._each:
                self._each[place] = re2.compile(self._signals[place], _options())
            match = self._each[place].search(text)
            if match is not None:
                found.append((place, match.group()))
        return found
