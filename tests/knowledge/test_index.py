"""Exactness is checked against brute force with numpy."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.knowledge.embed import Matrix
from app.knowledge.index import VectorIndex, View
from app.knowledge.snapshot import Snapshot, held

WIDTH = 8


def unit(count: int, seed: int) -> Matrix:
    """Random unit vectors."""
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    made: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def names(count: int, first: int = 0) -> list[int]:
    return list(range(first, first + count))


def brute(ids: list[int], vectors: Matrix, query: Matrix, k: int) -> list[tuple[int, float]]:
    scores = vectors @ query
    return sorted(zip(ids, scores.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))[:k]


class TestSearch:
    @settings(deadline=None)
    @given(
        bulk=st.integers(0, 60),
        tail=st.lists(st.integers(1, 5), max_size=5),
        k=st.integers(1, 20),
        seed=st.integers(0, 10**6),
    )
    def test_it_is_exact(self, bulk: int, tail: list[int], k: int, seed: int) -> None:
        total = bulk + sum(tail)
        ids, vectors, index = names(total), unit(total, seed), VectorIndex(WIDTH)
        index.load(ids[:bulk], vectors[:bulk])
        at = bulk
        for count in tail:
            index.add(ids[at : at + count], vectors[at : at + count])
            at += count
        query = unit(1, seed + 1)[0]
        found, expected = index.search(query, k), brute(ids, vectors, query, k)
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)

    def test_an_empty_one_finds_nothing(self) -> None:
        assert VectorIndex(WIDTH).search(unit(1, 0)[0], 5) == []

    def test_equal_vectors_come_by_id(self) -> None:
        index, same = VectorIndex(WIDTH), unit(1, 1)
        index.load([2, 4], np.vstack([same, same]))
        index.add([3, 1], np.vstack([same, same]))
        assert [name for name, _ in index.search(same[0], 4)] == [1, 2, 3, 4]


class TestAdd:
    @pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
    def test_what_was_added_is_found_before_and_after_it_is_folded(self, count: int) -> None:
        index, ids, vectors = VectorIndex(WIDTH), names(count), unit(count, 2)
        index.load([], vectors[:0])
        for at in range(0, count, 250):
            index.add(ids[at : at + 250], vectors[at : at + 250])
        for _ in range(2):
            assert len(index) == count
            for place in (0, count // 2, count - 1):
                assert index.search(vectors[place], 1)[0][0] == ids[place]
            index.fold(lambda view: held(*view.tail))

    def test_one_is_found_at_once(self) -> None:
        index, vectors = VectorIndex(WIDTH), unit(501, 3)
        index.load(names(500), vectors[:500])
        index.add([9999], vectors[500:])
        (name, score), *_ = index.search(vectors[500], 3)
        assert (name, round(score, 5)) == (9999, 1.0)

    def test_the_bulk_of_a_reader_is_left_alone(self) -> None:
        index, vectors = VectorIndex(WIDTH), unit(1600, 4)
        index.load(names(500), vectors[:500])
        before = index.view  # what a reader holds while others write
        index.add(names(1100, 500), vectors[500:])
        assert (len(before.bulk.keys), before.more) == (500, 0)
        assert len(index) == 1600


class TestLoad:
    def test_it_replaces_everything(self) -> None:
        index, vectors = VectorIndex(WIDTH), unit(20, 5)
        index.load(names(10), vectors[:10])
        index.add(names(3, 100), vectors[10:13])
        index.load(names(5, 200), vectors[13:18])
        assert len(index) == 5
        assert {name for name, _ in index.search(vectors[0], 50)} == set(names(5, 200))

    def test_it_keeps_its_own_copy(self) -> None:
        index, vectors = VectorIndex(WIDTH), unit(5, 6)
        query = vectors[0].copy()
        index.load(names(5), vectors)
        vectors[:] = 0
        assert round(index.search(query, 1)[0][1], 5) == 1.0


def together(view: View) -> Snapshot:
    keys, vectors = view.tail
    return held(np.hstack([view.bulk.keys, keys]), np.vstack([view.bulk.vectors, vectors]))


class TestReadingWhileWriting:
    def test_a_reader_never_sees_half_an_addition(self) -> None:
        index, vectors = VectorIndex(WIDTH), unit(4000, 7)
        ids = names(4000)
        index.load(ids[:1000], vectors[:1000])
        known = dict(zip(ids, vectors, strict=True))
        wrong: list[str] = []
        done = threading.Event()

        def read(seed: int) -> None:
            queries, seen = unit(50, seed), 0
            while not done.is_set():
                for query in queries:
                    found = index.search(query, 10)
                    scores = [score for _, score in found]
                    right = [float(known[name] @ query) for name, _ in found]
                    if not np.allclose(scores, right, atol=1e-5) or scores != sorted(scores, reverse=True):
                        wrong.append(f"an id with another's score: {found}")
                    if len({name for name, _ in found}) != 10:
                        wrong.append(f"one stands twice or is missing: {found}")
                size = len(index)
                if size < seen:
                    wrong.append("it shrank")
                seen = size

        readers = [threading.Thread(target=read, args=(seed,)) for seed in (8, 9)]
        for reader in readers:
            reader.start()
        for at in range(1000, 4000, 10):
            index.add(ids[at : at + 10], vectors[at : at + 10])
            if at == 2000:
                index.fold(together)
        done.set()
        for reader in readers:
            reader.join(30)
        assert wrong == []
        assert len(index) == 4000
