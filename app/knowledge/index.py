"""The index: nearest vectors by cosine, exact, readable while it grows.

A FAISS index over the bulk, never changed once built, and a short tail of newer vectors
beside it. A reader takes one reference to both and so never sees half an addition.
"""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import faiss
import numpy as np

from app.knowledge.embed import Matrix

_MERGE_AT = 1000


class _View(NamedTuple):
    bulk: Any  # faiss.IndexFlatIP
    ids: tuple[str, ...]
    tail: Matrix
    tail_ids: tuple[str, ...]


class VectorIndex:
    """Ids with unit vectors of `width` float32; search is exact inner product (cosine)."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._write = threading.Lock()
        self._view = _View(faiss.IndexFlatIP(width), (), np.empty((0, width), np.float32), ())

    def __len__(self) -> int:
        view = self._view
        return len(view.ids) + len(view.tail_ids)

    def load(self, ids: Sequence[str], vectors: Matrix) -> None:
        """Replaces everything; readers see the old or the new, never a mixture."""
        bulk = faiss.IndexFlatIP(self._width)
        bulk.add(np.ascontiguousarray(vectors, dtype=np.float32))
        with self._write:
            self._view = _View(bulk, tuple(ids), np.empty((0, self._width), np.float32), ())

    def add(self, ids: Sequence[str], vectors: Matrix) -> None:
        """Makes a few new vectors findable at once."""
        with self._write:
            view = self._view
            tail = np.vstack([view.tail, np.asarray(vectors, dtype=np.float32)])
            tail_ids = (*view.tail_ids, *ids)
            if len(tail_ids) < _MERGE_AT:
                self._view = view._replace(tail=tail, tail_ids=tail_ids)
                return
            bulk = faiss.clone_index(view.bulk)
            bulk.add(tail)
            self._view = _View(bulk, view.ids + tail_ids, np.empty((0, self._width), np.float32), ())

    def search(self, vector: Matrix, k: int) -> list[tuple[str, float]]:
        """The `k` nearest ids with their cosine (-1 to 1), best first; fewer when it holds fewer."""
        view = self._view
        found: list[tuple[str, float]] = []
        if view.ids:
            scores, places = view.bulk.search(vector.reshape(1, -1), min(k, len(view.ids)))
            found = [
                (view.ids[place], float(score))
                for score, place in zip(scores[0], places[0], strict=True)
                if place >= 0
            ]
        if view.tail_ids:
            scores = view.tail @ vector.reshape(-1)
            best = np.argsort(-scores, kind="stable")[:k]
            found += [(view.tail_ids[place], float(scores[place])) for place in best]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]
