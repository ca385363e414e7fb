"""Live: tells open pages that what they show has changed, by server-sent events; they fetch themselves anew.

Once a second one look at the database serves every listener of this process, and none is taken while nobody listens.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.db.engine import Database
from app.foundation.errors import Busy, NotAllowed, NotSignedIn, Unavailable
from app.foundation.logging import log
from app.pipeline.marks import marks
from app.web.pages.session import Visitor, VisitorDep, visitor

router = APIRouter(include_in_schema=False)
_MOST = 64
_EVERY = 1.0  # seconds between two looks
_STILL_EVERY = 5.0  # seconds between two looks at who is still signed in


@dataclass(eq=False)
class Listener:
    """One open page: what it shows, its mark as the page has it, and whether its visitor is still signed in."""

    page: str
    mark: str
    session: str
    signed_in: Callable[[], bool]
    told: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


class Live:
    """The listeners of this process, at most `most`. `stopping` says that the server ends: no stream keeps it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.most = _MOST
        self.taken = 0
        self.stopping: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._watching: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._left: set[str] = set()

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places, for as long as it is held; raises Busy when all are taken."""
        with self._lock:
            if self.taken >= self.most:
                says = f"{self.most} pages are followed already; this one renews itself now and then"
                raise Busy(says, retry_after=30)
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.taken -= 1

    def leave(self, session: str) -> None:
        """Ends the streams of a session that was signed out; from any thread."""
        self._left.add(session)

    async def listen(self, listener: Listener) -> AsyncIterator[str]:
        """A new mark whenever what the page shows has changed; ends with the session and the server."""
        self._listeners.append(listener)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            while mark := await listener.told.get():
                yield mark
        finally:
            self._listeners.remove(listener)

    async def _watch(self) -> None:
        while self._listeners:
            there = tuple(self._listeners)
            try:
                found, gone = await asyncio.to_thread(self._look, there)
            except Exception as error:
                log(__name__).warning("live.look_failed", exc_info=error)
                found, gone = {}, []
            for one in there:
                mark = found.get(one.page, one.mark)
                if self.stopping() or one in gone:
                    one.told.put_nowait("")
                elif mark != one.mark:
                    one.mark = mark
                    one.told.put_nowait(mark)
            await asyncio.sleep(_EVERY)

    def _look(self, listeners: Sequence[Listener]) -> tuple[dict[str, str], list[Listener]]:
        left, self._left = self._left, set()
        gone = [one for one in listeners if one.session in left]
        if time.monotonic() >= self._asked_at + _STILL_EVERY:
            gone += [one for one in listeners if not one.signed_in()]
            self._asked_at = time.monotonic()
        with self._database.reading() as session:
            return marks(session, {one.page for one in listeners}), gone


def live_of(request: Request) -> Live:
    """The one that `install` made."""
    live: Live = request.app.state.live
    return live


def place(request: Request) -> Iterator[Live]:
    """The listeners, and a place among them until the answer has ended."""
    live = live_of(request)
    with live.place():
        yield live


@router.get("/live", response_class=EventSourceResponse)
async def follow(
    request: Request,
    visitor: VisitorDep,
    live: Annotated[Live, Depends(place)],
    page: Annotated[str, Query(max_length=100)],
    mark: Annotated[str, Query(max_length=100)] = "",
    last_event_id: Annotated[str, Header(max_length=100)] = "",
) -> AsyncIterator[ServerSentEvent]:
    """An event whenever the page is no longer as its mark says. The framework keeps the line warm."""
    listener = Listener(page, last_event_id or mark, visitor.csrf, lambda: _signed_in(request))
    async for changed in live.listen(listener):
        yield ServerSentEvent(event="changed", id=changed, raw_data=changed)


def _signed_in(request: Request) -> bool:
    try:
        found: Visitor = visitor(request)
    except (NotSignedIn, NotAllowed, Unavailable):
        return False
    return bool(found.csrf)
