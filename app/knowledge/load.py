"""Load: cases and their vectors, from files and rows to where they are searched, embedding only what is new."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from app.db.alone import alone
from app.db.engine import Database
from app.foundation.logging import log
from app.knowledge import snapshot, store
from app.knowledge.case import Case, read_cases
from app.knowledge.embed import Embedder, Matrix
from app.knowledge.index import VectorIndex, View
from app.knowledge.retrieve import Retriever
from app.knowledge.runbook import Runbook
from app.knowledge.snapshot import CHUNK, Keys, Part, Snapshot

_CHUNK = 256
_CHECKED = 32  # cases whose vectors are compared with their rows before a snapshot is used

Told = Callable[[int, int], None]


def load_shipped(database: Database, folder: Path) -> list[Case]:
    """Brings the shipped cases' rows up to date with `folder/cases` and returns these cases."""
    shipped = list(read_cases(folder / "cases"))
    with database.writing() as session:
        alone(session, "shipped cases")
        changed = store.replace_shipped(session, shipped)
    if changed:
        log(__name__).info("knowledge.cases_changed", rows=changed)
    return shipped


def load_vectors(
    database: Database, embedder: Embedder, texts: Sequence[str], told: Told | None = None
) -> Matrix:
    """(len(texts), width) float32; vectors that were computed before come from their rows.

    `told` hears (done, of) while new ones are computed, which is slow.
    """
    keys = [store.embedding_key(embedder, text) for text in texts]
    with database.reading() as session:
        known = store.known_vectors(session, keys)
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    todo = list(missing.items())
    for at in range(0, len(todo), _CHUNK):
        chunk = todo[at : at + _CHUNK]
        vectors = embedder.embed([text for _, text in chunk])
        fresh = {key: vector for (key, _), vector in zip(chunk, vectors, strict=True)}
        with database.writing() as session:
            store.keep_vectors(session, fresh)
        known.update(fresh)
        if told:
            told(at + len(chunk), len(todo))
    if not keys:
        return np.empty((0, embedder.width), np.float32)
    return np.vstack([known[key] for key in keys])


def load_runbooks(database: Database, retriever: Retriever, runbooks: Sequence[Runbook]) -> None:
    """Has the retriever find these runbooks and no others; only sections that are new are embedded."""
    retriever.load_runbooks(runbooks, lambda texts: load_vectors(database, retriever.embedder, texts))


class StoredCases:
    """Cases as rows, found through an index on disk: in memory are only the vectors that it lacks.

    A row is read when its case is found, so that one that was replaced or retired, by whichever
    process, is passed over from that moment on. `read` gives the part of a case's text that is embedded.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        read: Callable[[str], str],
        folder: Path,
        fold_at: int = 1000,
    ) -> None:
        """With `fold_at` vectors beside it, and one more for each hundred in it, a snapshot is written anew."""
        self._database = database
        self._embedder = embedder
        self._read = read
        self._folder = folder
        self._fold_at = fold_at
        self._index = VectorIndex(embedder.width)
        self._newest = 0
        self._adding = threading.Lock()
        self._folding = threading.Lock()

    def __len__(self) -> int:
        with self._database.reading() as session:
            return store.count(session)

    @property
    def view(self) -> View:
        """The index as it is now."""
        return self._index.view

    def open(self, told: Told | None = None) -> None:
        """Opens the newest snapshot and adds the rows that came after it; builds one when none fits."""
        found = snapshot.newest(self._folder, self._embedder.id, self._embedder.width)
        refused = found if isinstance(found, str) else self._refused(found) if found else ""
        if refused:
            log(__name__).warning("index.refused", says=refused)
        if refused or not isinstance(found, Snapshot):
            found = self._write(self._rows(0, told))
        self._index.show(found)
        self._newest = found.manifest.newest
        self.catch_up()

    def nearest(self, vector: Matrix, k: int) -> list[tuple[Case, float]]:
        want = k + 3
        while True:
            found = self._index.search(vector, want)
            with self._database.reading() as session:
                cases = store.by_number(session, [number for number, _ in found])
                behind = store.newest_number(session) > self._newest
            if behind and not self._adding.locked():  # another process learned something
                threading.Thread(target=self.catch_up, name="index", daemon=True).start()
            near = [(cases[number], score) for number, score in found if number in cases]
            if len(near) >= k or len(found) < want:
                return near[:k]
            want *= 4

    def add(self, case: Case, vector: Matrix) -> None:
        """Its row, and that of its vector, are there already."""
        self.catch_up()

    def forget(self, case_ids: Sequence[str]) -> None:
        """Their rows say so."""

    def catch_up(self) -> None:
        """Makes the rows that came since the last time findable."""
        with self._adding:
            for numbers, vectors in self._rows(self._newest):
                self._index.add(numbers.tolist(), vectors)
                self._newest = int(numbers[-1])
        view = self._index.view
        if view.more >= self._fold_at + view.bulk.manifest.count // 100 and not self._folding.locked():
            threading.Thread(target=self.fold, name="index", daemon=True).start()

    def fold(self) -> None:
        """Writes a new snapshot of everything that is in force, while searches and additions go on."""
        with self._folding:
            self._index.fold(self._folded)

    def _folded(self, view: View) -> Snapshot:
        bulk = view.bulk
        whole: Part = (bulk.keys, bulk.vectors)
        if bulk.cells is not None and bulk.manifest.count + view.more <= 2 * bulk.manifest.trained:
            return self._write([whole, view.tail], bulk)
        with self._database.reading() as session:
            alive = np.array(store.numbers(session), np.int64)
        return self._write(_only(alive, [whole, view.tail]))

    def _write(self, parts: Iterable[Part], grown: Snapshot | None = None) -> Snapshot:
        return snapshot.write(self._folder, self._embedder.id, self._embedder.width, parts, grown)

    def _rows(self, after: int, told: Told | None = None) -> Iterator[Part]:
        """The cases in force that came after a number, with their vectors."""
        done, of = 0, len(self) if told else 0
        while True:
            with self._database.reading() as session:
                rows = store.newer(session, after, _CHUNK)
            if not rows:
                return
            after, done = rows[-1][0], done + len(rows)
            texts = [self._read(case.text) for _, case in rows]
            vectors = load_vectors(self._database, self._embedder, texts)
            yield np.array([number for number, _ in rows], np.int64), vectors
            if told:
                told(done, of)
            if len(rows) < _CHUNK:
                return

    def _refused(self, found: Snapshot) -> str:
        """Why a snapshot is not of these rows, as far as some of them show; empty when it fits."""
        last = len(found.keys) - 1
        places = {last * step // _CHECKED for step in range(_CHECKED + 1)} if last >= 0 else set()
        held = {int(found.keys[place]): found.vectors[place] for place in places}
        with self._database.reading() as session:
            if store.newest_number(session) < found.manifest.newest:
                return "it holds cases that the database does not have"
            cases = store.by_number(session, list(held))
            keys = {
                number: store.embedding_key(self._embedder, self._read(case.text))
                for number, case in cases.items()
            }
            known = store.known_vectors(session, list(keys.values()))
        if all(np.array_equal(known.get(key, ()), held[number]) for number, key in keys.items()):
            return ""
        return "its vectors are not those of the rows"


def _only(alive: Keys, parts: Iterable[Part]) -> Iterator[Part]:
    """A chunk at a time: all of them may be more than fits into memory."""
    for keys, vectors in parts:
        for at in range(0, len(keys), CHUNK):
            kept = np.isin(keys[at : at + CHUNK], alive)
            yield keys[at : at + CHUNK][kept], vectors[at : at + CHUNK][kept]
