"""Cases to search among: in memory, or (in `load`) as rows with an index on disk."""

from collections.abc import Sequence
from typing import Protocol

from app.knowledge.case import Case
from app.knowledge.embed import Matrix
from app.knowledge.index import VectorIndex


class Cases(Protocol):
    """What a `Retriever` searches. Safe to read from many threads while it grows."""

    def __len__(self) -> int:
        """How many cases are in force."""
        ...

    def nearest(self, vector: Matrix, k: int) -> list[tuple[Case, float]]:
        """The `k` nearest cases in force with their cosine, best first."""
        ...

    def add(self, case: Case, vector: Matrix) -> None:
        """Makes a case findable at once; one that has its id is replaced."""
        ...

    def forget(self, case_ids: Sequence[str]) -> None:
        """Makes cases that were unlearned unfindable at once."""
        ...


class HeldCases:
    """A few cases in memory."""

    def __init__(self, cases: Sequence[Case], vectors: Matrix) -> None:
        self._keys = {case.id: key for key, case in enumerate(cases)}
        self._cases = dict(enumerate(cases))
        self._next = len(cases)
        self._index = VectorIndex(vectors.shape[1])
        self._index.load(range(len(cases)), vectors)

    def __len__(self) -> int:
        return len(self._cases)

    def nearest(self, vector: Matrix, k: int) -> list[tuple[Case, float]]:
        # Those that were replaced or forgotten are still in the index and are passed over.
        found = self._index.search(vector, k + len(self._index) - len(self._cases))
        cases = ((self._cases.get(key), score) for key, score in found)
        return [(case, score) for case, score in cases if case is not None][:k]

    def add(self, case: Case, vector: Matrix) -> None:
        self.forget([case.id])
        key, self._next = self._next, self._next + 1
        self._keys[case.id], self._cases[key] = key, case
        self._index.add([key], vector.reshape(1, -1))

    def forget(self, case_ids: Sequence[str]) -> None:
        for case_id in case_ids:
            if case_id in self._keys:
                del self._cases[self._keys.pop(case_id)]
