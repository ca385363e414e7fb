"""Remembered: a value that costs too much to ask for at every request, kept for a few seconds."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Asks again once `seconds` have passed; meanwhile, and while another thread asks, the value it had."""

    def __init__(self, ask: Callable[[], T], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: tuple[float, T] | None = None

    def get(self) -> T:
        """The value; the first to ask waits for it, an error is not remembered."""
        known = self._known
        if known is not None and (time.monotonic() < known[0] or not self._lock.acquire(blocking=False)):
            return known[1]
        if known is None:
            self._lock.acquire()
        try:
            if self._known is None or time.monotonic() >= self._known[0]:
                value = self._ask()
                self._known = (time.monotonic() + self._seconds, value)
            return self._known[1]
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Has the next to ask wait for a new value: a person did something that changes it."""
        self._known = None
