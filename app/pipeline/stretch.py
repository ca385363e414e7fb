"""Stretches: a workflow's body from one sleep to the next, which is what the durable engine records.

A recorded step costs the engine as much as what most steps do. All of ours are repeatable, so recording is needed
only where the body has to find its place again: before it sleeps, and at its end. After a crash the steps since
then run again.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict

from app.foundation.record import Record
from app.remediation.remediate import Durable

R = TypeVar("R")
T = TypeVar("T")
Body = Callable[[Durable], Coroutine["_Sleep", None, R]]


class Stretch(Record):
    """What is recorded: the number of the first step, what it and the next ones gave, and how it goes on.

    `sleep` is in seconds; None: the body has ended, with `result`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    first: int
    gave: tuple[tuple[str, Any], ...]
    sleep: float | None
    result: Any = None


class _Sleep:
    """What a body that sleeps hands to who runs it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __await__(self) -> Generator["_Sleep", None, None]:
        yield self


class Stretches(Generic[R]):
    """`Durable` for one body. `on` runs it, in the thread that calls; `keep` hears what was recorded."""

    def __init__(self, body: Body[R], around: Callable[[str, Callable[[], Any]], Any]) -> None:
        """`around` runs each step, knowing its name."""
        self._make = body
        self._around = around
        self._gave: list[tuple[str, Any]] = []
        self._kept = self._slept = 0
        self._body: Coroutine[_Sleep, None, R] | None = None
        self._at = self._asleep = 0

    async def step(self, name: str, call: Callable[..., T], *args: Any) -> T:
        """What the step gave when it ran, or now. Raises ValueError when the body takes another way than it did."""
        if self._at == len(self._gave):
            self._gave.append((name, self._around(name, lambda: call(*args))))
        known, gave = self._gave[self._at]
        if known != name:
            raise ValueError(f"step {self._at} was {known!r} and is {name!r} now")
        self._at += 1
        result: T = gave
        return result

    async def sleep(self, seconds: float) -> None:
        """Ends the stretch, unless this sleep is over."""
        await _Sleep(seconds)

    def on(self) -> Stretch:
        """Runs the next stretch. A step that raises ends it, and what came before it need not run again."""
        first = self._kept
        if self._body is None:
            self._body, self._at, self._asleep = self._make(self), 0, 0
        try:
            while True:
                sleep = self._body.send(None)
                self._asleep += 1
                if self._asleep > self._slept:
                    return Stretch(first=first, gave=tuple(self._gave[first:]), sleep=sleep.seconds)
        except StopIteration as end:
            return Stretch(first=first, gave=tuple(self._gave[first:]), sleep=None, result=end.value)
        except Exception:
            self._body = None
            raise

    def keep(self, stretch: Stretch) -> None:
        """Goes on from a stretch that ran, in this process or in one before."""
        self._gave[stretch.first :] = stretch.gave
        self._kept = len(self._gave)
        self._slept += 1
