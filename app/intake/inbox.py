"""The inbox: many requests, one commit.

A single thread takes what waits, commits it in one transaction and answers all of it. The
longer a commit takes the more the next one carries, so the rate grows with the load and
one request alone waits for nobody. (Group commit: DeWitt et al., SIGMOD 1984.)
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from app.foundation import metrics
from app.foundation.errors import Busy, Unavailable
from app.foundation.logging import log
from app.intake.event import Accepted, Event

Commit = Callable[[Sequence[Event]], Sequence[Accepted]]
_Waiting = tuple[Sequence[Event], "asyncio.Future[list[Accepted]]"]
_Answered = tuple["asyncio.Future[list[Accepted]]", "list[Accepted] | Exception"]


class Inbox:
    """Commits events in groups on a thread of its own."""

    def __init__(self, commit: Commit, *, limit: int = 20_000, group: int = 2_000) -> None:
        """`commit` stores events in one transaction and says what became of each, in order.

        `limit` is how many events may wait before a sender is asked to come back; `group`
        is the most that one transaction takes.
        """
        self._commit = commit
        self._limit = limit
        self._group = group
        self._waiting: deque[_Waiting] = deque()
        self._count = 0
        self._wake = threading.Condition()
        self._closed = False
        self._rate = (0.0, 0)  # when the present second began, events stored in it
        self._last = 0
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    async def put(self, events: Sequence[Event]) -> list[Accepted]:
        """Waits until `events` are durable; raises Busy when too many wait, Unavailable when closed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Accepted]] = loop.create_future()
        with self._wake:
            if self._closed:
                raise Unavailable("the service is stopping", retry_after=5)
            if self._count + len(events) > self._limit and self._count:
                raise Busy("the inbox is full; send these events again", retry_after=1)
            self._waiting.append((events, future))
            self._count += len(events)
            self._wake.notify()
        return await future

    @property
    def waiting(self) -> int:
        """How many events wait for their commit."""
        return self._count

    @property
    def busy(self) -> bool:
        """Whether more than 200 events were stored in the last second: then other work should hold back."""
        began, count = self._rate
        age = time.monotonic() - began
        return age < 2 and max(count, self._last if age < 1 else 0) > 200

    def close(self) -> None:
        """Commits what waits, then stops."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closed:
                    self._wake.wait()
                if not self._waiting:
                    return
                group: list[_Waiting] = []
                size = 0
                while self._waiting and (not group or size + len(self._waiting[0][0]) <= self._group):
                    group.append(self._waiting.popleft())
                    size += len(group[-1][0])
                self._count -= size
            self._store(group)

    def _commit_all(self, group: list[_Waiting]) -> list[_Answered]:
        """Commits the group at once; when that fails each request alone, so that one bad event fails only itself."""
        try:
            answers = self._commit([event for events, _ in group for event in events])
        except Exception as error:
            if len(group) > 1:
                return [answered for waiting in group for answered in self._commit_all([waiting])]
            log(__name__).error("inbox.commit_failed", events=len(group[0][0]), exc_info=error)
            return [
                (group[0][1], Unavailable("the events could not be stored; send them again", retry_after=2))
            ]
        results: list[_Answered] = []
        at = 0
        for events, future in group:
            results.append((future, list(answers[at : at + len(events)])))
            at += len(events)
        return results

    def _store(self, group: list[_Waiting]) -> None:
        began = time.perf_counter()
        results = self._commit_all(group)
        stored = sum(len(events) for events, _ in group)
        now = time.monotonic()
        if now - self._rate[0] >= 1:
            self._last = self._rate[1] if now - self._rate[0] < 2 else 0
            self._rate = (now, 0)
        self._rate = (self._rate[0], self._rate[1] + stored)
        metrics.COMMIT_SIZE.observe(stored)
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
        # One wake-up of the loop for the whole group, not one per request.
        by_loop: dict[asyncio.AbstractEventLoop, list[_Answered]] = {}
        for future, result in results:
            by_loop.setdefault(future.get_loop(), []).append((future, result))
        for loop, answered in by_loop.items():
            # A loop that was closed has nobody left to tell; this thread must outlive it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_answer, answered)


def _answer(results: list[_Answered]) -> None:
    for future, result in results:
        if future.done():  # the client went away; its events are stored all the same
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
