"""Snapshots on disk: whole or refused, exact when small, of measured recall when large."""

from pathlib import Path

import numpy as np
import pytest

from app.knowledge import snapshot
from app.knowledge.embed import Matrix
from app.knowledge.snapshot import RECALL, Snapshot

WIDTH = 16
EXACT_UNTIL = 2_000


def crowd(count: int, seed: int) -> Matrix:
    """Unit vectors around a few hundred centres, which are the same for every seed."""
    centres = np.random.default_rng(0).normal(size=(300, WIDTH))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(300, size=count)] + 0.5 * rng.normal(size=(count, WIDTH))
    made: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


def write(folder: Path, count: int, grown: Snapshot | None = None, seed: int = 1) -> Snapshot:
    vectors, keys = crowd(10_000, seed)[:count], np.arange(count) * 2 + 1
    first = grown.manifest.count if grown else count // 2
    parts = [(keys[:first], vectors[:first]), (keys[first:], vectors[first:])]
    return snapshot.write(folder, "test@1", WIDTH, parts, grown, EXACT_UNTIL)


def recall(found: Snapshot, queries: Matrix) -> float:
    """Of the five nearest, against all cosines."""
    right = np.sort(queries @ found.vectors.T, axis=1)[:, -5]
    hits = [
        sum(score >= least - 1e-6 for _, score in found.search(query, 5))
        for query, least in zip(queries, right, strict=True)
    ]
    return sum(hits) / (5 * len(queries))


def opened(folder: Path) -> Snapshot:
    found = snapshot.newest(folder, "test@1", WIDTH)
    assert isinstance(found, Snapshot), found
    return found


class TestSmall:
    @pytest.mark.parametrize("count", [0, 1, 7, 500])
    def test_it_comes_back_to_the_bit_and_is_exact(self, tmp_path: Path, count: int) -> None:
        write(tmp_path, count)
        found = opened(tmp_path)
        assert (found.manifest.count, found.manifest.cells) == (count, 0)
        assert np.array_equal(found.vectors, crowd(10_000, 1)[:count])
        assert found.keys.tolist() == [2 * place + 1 for place in range(count)]
        query = crowd(1, 2)[0]
        order = np.argsort(-(found.vectors @ query))[:5]
        assert [key for key, _ in found.search(query, 5)] == found.keys[order].tolist()

    def test_there_is_none_before_the_first(self, tmp_path: Path) -> None:
        assert snapshot.newest(tmp_path / "none", "test@1", WIDTH) is None


class TestLarge:
    def test_recall_is_measured_and_holds_for_queries_that_it_does_not_hold(self, tmp_path: Path) -> None:
        made = write(tmp_path, EXACT_UNTIL + 1_000)
        assert made.manifest.cells > made.manifest.probes
        assert made.manifest.recall >= RECALL
        assert recall(opened(tmp_path), crowd(300, 2)) >= 0.98

    def test_its_cells_take_more_and_are_kept(self, tmp_path: Path) -> None:
        old = write(tmp_path, EXACT_UNTIL + 1_000)
        new = write(tmp_path, EXACT_UNTIL + 1_500, grown=old)
        assert (new.manifest.trained, new.manifest.count) == (EXACT_UNTIL + 1_000, EXACT_UNTIL + 1_500)
        assert recall(new, crowd(300, 2)) >= 0.98
        # The last of those that came in is found as itself.
        assert new.search(new.vectors[-1], 1)[0][0] == new.keys[-1]
        # What a reader still has open goes on working, though its files are gone.
        assert old.path is not None
        assert not old.path.exists()
        assert old.search(old.vectors[0], 1)[0][0] == old.keys[0]


class TestRefused:
    @pytest.mark.parametrize("name", ["keys.i64", "vectors.f32"])
    def test_a_flipped_bit(self, tmp_path: Path, name: str) -> None:
        made = write(tmp_path, 50)
        assert made.path is not None
        held = bytearray((made.path / name).read_bytes())
        held[100] ^= 1
        (made.path / name).write_bytes(held)
        assert snapshot.newest(tmp_path, "test@1", WIDTH) == "its files are not what its manifest says"

    def test_a_torn_manifest(self, tmp_path: Path) -> None:
        made = write(tmp_path, 50)
        assert made.path is not None
        (made.path / "manifest.json").write_text("{")
        assert snapshot.newest(tmp_path, "test@1", WIDTH) == "it cannot be read: ValidationError"

    def test_another_embedder(self, tmp_path: Path) -> None:
        write(tmp_path, 50)
        refused = snapshot.newest(tmp_path, "other@1", WIDTH)
        assert isinstance(refused, str)
        assert refused.startswith("it was made for test@1")


class TestWrite:
    def test_an_interruption_leaves_the_old_one_and_the_next_clears_up(self, tmp_path: Path) -> None:
        write(tmp_path, 50)
        # As a process leaves it that was killed: no process has this number.
        (tmp_path / "aside-4999999").mkdir()

        def broken() -> list[snapshot.Part]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            snapshot.write(tmp_path, "test@1", WIDTH, (part for part in broken()))
        assert opened(tmp_path).manifest.count == 50
        write(tmp_path, 60)
        assert opened(tmp_path).manifest.count == 60
        assert len(list(tmp_path.iterdir())) == 1
