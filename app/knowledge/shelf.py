"""The shelf: the runbooks in force, those that ship with a site's own on top of them.

A site's runbook replaces the shipped one of the same id. Of a file that is broken the last version that
was whole stays in force, over restarts and for every process: what is in force is kept in the data folder.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from app.foundation.logging import log
from app.foundation.record import Record
from app.knowledge.runbook import Mistake, Runbook, read_runbook
from app.knowledge.taxonomy import Taxonomy


class Book(Record):
    """A runbook in force. `own` ones stand in the site's folder.

    `mistakes` are those of its `file` as it is now: then this is the last version that was whole.
    """

    runbook: Runbook
    file: Path
    own: bool
    mistakes: tuple[Mistake, ...] = ()


class Books(Record):
    """All in force, by id, and what is wrong with files, whether or not an earlier version stands in for them."""

    books: tuple[Book, ...]
    mistakes: tuple[Mistake, ...] = ()

    @property
    def runbooks(self) -> tuple[Runbook, ...]:
        return tuple(book.runbook for book in self.books)

    def find(self, runbook_id: str) -> Book | None:
        """The one with this id."""
        return next((book for book in self.books if book.runbook.id == runbook_id), None)


def files(folder: Path) -> list[Path]:
    """The runbooks' files of a folder. README.md, CHANGELOG.md and the like are about the folder.

    A link that leads out of it is passed over: what it leads to would be shown where the file's mistakes are.
    """
    inside = folder.resolve()
    return sorted(
        path
        for path in folder.glob("*.md")
        if not path.stem.isupper() and path.stem.lower() != "readme" and path.resolve().is_relative_to(inside)
    )


def read_runbooks(
    folder: Path, taxonomy: Taxonomy, params: Mapping[str, type[Record]]
) -> tuple[list[Runbook], list[Mistake]]:
    """All runbooks of a folder that are whole, and what is wrong with the others."""
    read = [read_runbook(file, taxonomy, params) for file in files(folder)]
    return [runbook for runbook, _ in read if runbook], [one for _, wrong in read for one in wrong]


class Shelf:
    """Reads the runbooks of the two folders. `now` costs nothing; `read` looks at every file."""

    def __init__(
        self,
        shipped: Path,
        own: Path,
        kept: Path,
        taxonomy: Taxonomy,
        params: Mapping[str, type[Record]],
    ) -> None:
        """`kept` is the file in which what is in force is written down."""
        self.shipped = shipped
        self.own = own
        self._kept_in = kept
        self._taxonomy = taxonomy
        self._params = params
        self._now: Books | None = None

    @property
    def folders(self) -> tuple[Path, Path]:
        """Where runbooks stand, the ones that count less first."""
        return self.shipped, self.own

    def now(self) -> Books:
        """As they were when they were last read."""
        return self._now or self.read()

    def read(self) -> Books:
        """As they are in the folders now."""
        before = self._read_kept()
        after: dict[str, Any] = {}
        found: dict[str, Book] = {}
        mistakes: list[Mistake] = []
        for file, own in self._files():
            runbook, wrong = read_runbook(file, self._taxonomy, self._params)
            mistakes += wrong
            name = str(file.resolve())
            runbook = runbook or _kept(before.get(name))
            if runbook is not None:
                after[name] = runbook.model_dump(mode="json")
                found[runbook.id] = Book(runbook=runbook, file=file, own=own, mistakes=tuple(wrong))
        if after != before:
            self._keep(after)
        self._now = Books(books=tuple(found[name] for name in sorted(found)), mistakes=tuple(mistakes))
        return self._now

    def _files(self) -> Iterator[tuple[Path, bool]]:
        yield from ((file, False) for file in files(self.shipped))
        yield from ((file, True) for file in files(self.own))

    def _read_kept(self) -> dict[str, Any]:
        try:
            data = orjson.loads(self._kept_in.read_bytes())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def _keep(self, in_force: Mapping[str, Any]) -> None:
        aside = ""
        try:
            # Moved into place: others read it meanwhile.
            descriptor, aside = tempfile.mkstemp(dir=self._kept_in.parent, prefix=f"{self._kept_in.name}-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(in_force))
            os.replace(aside, self._kept_in)
        except OSError as error:
            log(__name__).warning("runbooks.not_kept", says=str(error))
            if aside:
                Path(aside).unlink(missing_ok=True)


def _kept(fields: Any) -> Runbook | None:
    """A version that was whole; None when there is none, or it was written down by a version with other fields."""
    try:
        return Runbook.model_validate(fields) if fields is not None else None
    except ValidationError:
        return None
