"""A chat that answers from a queue: for tests, and for trying prompts without a model."""

from collections import deque
from collections.abc import Iterable

from app.llm.chat import ChatFailed


class ScriptedChat:
    """Gives its answers in order; an exception in the queue is raised; an empty queue fails."""

    def __init__(self, answers: Iterable[str | ChatFailed]) -> None:
        self._answers = deque(answers)
        self.asked: list[tuple[str, str]] = []

    def ask(self, instructions: str, question: str) -> str:
        self.asked.append((instructions, question))
        if not self._answers:
            raise ChatFailed("the script has no more answers")
        answer = self._answers.popleft()
        if isinstance(answer, ChatFailed):
            raise answer
        return answer
