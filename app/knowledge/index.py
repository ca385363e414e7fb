"""The index: nearest vectors by cosine, readable while it grows.

A bulk (`Snapshot`), never changed once built, and a short tail of newer vectors beside it, which
is searched exactly. A reader takes one reference to both and so never sees half an addition.
"""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from app.knowledge.embed import Matrix
from app.knowledge.snapshot import Found, Keys, Snapshot, exact, held


class View(NamedTuple):
    """What a reader sees: of the tail only the first `more`; behind them others may be being written."""

    bulk: Snapshot
    keys: Keys
    vectors: Matrix
    more: int

    @property
    def tail(self) -> tuple[Keys, Matrix]:
        """The keys and vectors beside the bulk."""
        return self.keys[: self.more], self.vectors[: self.more]


class VectorIndex:
    """Keys (int64) with unit vectors of `width` float32."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._write = threading.Lock()
        self.load([], np.empty((0, width), np.float32))

    def __len__(self) -> int:
        return len(self.view.bulk.keys) + self.view.more

    def load(self, keys: Sequence[int], vectors: Matrix) -> None:
        """Replaces everything by what is in memory; readers see the old or the new, never a mixture."""
        self.show(held(np.array(keys, np.int64), np.array(vectors, np.float32)))

    def show(self, bulk: Snapshot) -> None:
        """Replaces everything by a snapshot."""
        with self._write:
            self._view = self._beside(bulk, np.empty(0, np.int64), np.empty((0, self._width), np.float32))

    def add(self, keys: Sequence[int], vectors: Matrix) -> None:
        """Makes a few new vectors findable at once."""
        with self._write:
            bulk, names, rows, more = self._view
            if more + len(keys) > len(names):
                bulk, names, rows, more = self._beside(bulk, *self._view.tail, room=2 * (more + len(keys)))
            names[more : more + len(keys)] = keys
            rows[more : more + len(keys)] = vectors
            self._view = View(bulk, names, rows, more + len(keys))

    def fold(self, build: Callable[[View], Snapshot]) -> None:
        """Makes bulk and tail into a new bulk, by `build`; what is added meanwhile is the new tail."""
        before = self._view
        bulk = build(before)
        with self._write:
            keys, vectors = self._view.tail
            self._view = self._beside(bulk, keys[before.more :], vectors[before.more :])

    def search(self, vector: Matrix, k: int) -> Found:
        """The `k` nearest keys with their cosine (-1 to 1), best first; fewer when it holds fewer."""
        view = self._view
        found = view.bulk.search(vector.reshape(-1), k) + exact(*view.tail, vector, k)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]

    @property
    def view(self) -> View:
        """Everything as it is now."""
        return self._view

    def _beside(self, bulk: Snapshot, keys: Keys, vectors: Matrix, room: int = 64) -> View:
        """A view of `bulk` and these, with room for more behind them."""
        room = max(room, len(keys))
        names, rows = np.empty(room, np.int64), np.empty((room, self._width), np.float32)
        names[: len(keys)], rows[: len(keys)] = keys, vectors
        return View(bulk, names, rows, len(keys))
