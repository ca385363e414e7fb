"""The port of a language model."""

from typing import Protocol


class ChatFailed(Exception):
    """No answer: too slow, unreachable, refused, or not installed. `says` tells which."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


class Chat(Protocol):
    """One question, one answer; keeps no conversation."""

    def ask(self, instructions: str, question: str) -> str:
        """The model's answer as text. `question` may hold hostile text. Raises ChatFailed."""
        ...
