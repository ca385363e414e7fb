"""Watch: puts runbooks in force as soon as their files are others, in the running service.

The system's notifications are quick; every few seconds it looks by itself too, which also serves where there
are none: network disks, mounts into a container, a folder that was removed and made again.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from watchfiles import watch

from app.foundation import metrics
from app.foundation.logging import log
from app.knowledge.shelf import Books, Shelf

# It tells of every look; what came of it is told here.
logging.getLogger("watchfiles").setLevel(logging.WARNING)

_STEP = 200  # ms; between two looks at whether to stop
_SETTLE = 400  # ms; several changes within it are one


class Watch:
    """Looks at a shelf's folders in a thread of its own; every process that diagnoses has one."""

    def __init__(self, shelf: Shelf, put: Callable[[Books], None], look: float = 5.0) -> None:
        """`put` gets what is in force at the start and whenever it is something else, and again when it failed.

        `look` is in seconds.
        """
        self._shelf = shelf
        self._put = put
        self._look = look
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runbooks", daemon=True)

    def start(self) -> None:
        """Begins."""
        if not self._stop.is_set():
            self._thread.start()

    def close(self) -> None:
        """Ends it; what it is doing is done first."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        in_force, seen = Books(books=()), None
        for _ in self._looks():
            stamps = self._stamps()
            if stamps == seen or self._stop.is_set():
                continue
            try:
                in_force = self._renewed(in_force)
                seen = stamps
            except Exception as error:
                log(__name__).error("runbooks.not_reloaded", exc_info=error)

    def _renewed(self, before: Books) -> Books:
        books = self._shelf.read()
        if books == before:
            return before
        for mistake in books.mistakes:
            if mistake not in before.mistakes:
                log(__name__).warning("runbook.refused", says=str(mistake))
        metrics.RUNBOOK_MISTAKES.set(len(books.mistakes))
        self._put(books)
        log(__name__).info("runbooks.in_force", runbooks=len(books.books), mistakes=len(books.mistakes))
        return books

    def _looks(self) -> Iterator[None]:
        yield
        with contextlib.suppress(OSError):  # then there is nothing of the site's to be watched yet
            self._shelf.own.mkdir(parents=True, exist_ok=True)
        try:
            for _ in watch(
                *(folder for folder in self._shelf.folders if folder.is_dir()),
                watch_filter=None,
                debounce=_SETTLE,
                step=_STEP,
                stop_event=self._stop,
                rust_timeout=int(self._look * 1000),
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=False,
            ):
                yield
        except Exception as error:  # no more watches are to be had, or a folder cannot be read
            log(__name__).warning("runbooks.not_notified", says=f"{type(error).__name__}: {error}")
        while not self._stop.wait(self._look):
            yield

    def _stamps(self) -> dict[Path, tuple[int, int, int]]:
        found = {}
        for folder in self._shelf.folders:
            for file in folder.glob("*.md"):
                with contextlib.suppress(OSError):
                    stat = file.stat()
                    found[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return found
