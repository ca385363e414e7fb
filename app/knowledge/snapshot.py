"""Snapshot: vectors that do not change any more, in files that are opened by memory map.

Few are searched one by one, which is exact. Of more, an inverted file of 8-bit codes (faiss
`IVF,SQ8`) names candidates, which are ranked by their exact vectors; how many cells it looks into
is found by measuring: the fewest that give the recall that is wanted, against exact search.
(Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011.)
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from app.foundation.record import Record
from app.knowledge.embed import Matrix

Keys = npt.NDArray[np.int64]
Found = list[tuple[int, float]]
Part = tuple[Keys, Matrix]

FORM = "1"
EXACT_UNTIL = 20_000  # vectors; more are not looked at one by one
RECALL = 0.985  # of the five nearest; what is promised is 0.98
_ASKED = 300  # vectors whose neighbours are looked for to measure recall
_CANDIDATES = 4  # for each that is wanted, ranked again by their exact vectors
CHUNK = 65_536


class Manifest(Record):
    """What the files beside it hold. `newest` is the largest key; `cells` and `probes` are 0 where search is exact.

    `trained` is how many vectors the cells were laid out for, `recall` the share of the five nearest that
    was found of vectors of its own, each without itself; `sha256` is of all three files.
    """

    form: str = FORM
    faiss: str = faiss.__version__
    embedder: str
    width: int
    count: int
    newest: int
    cells: int = 0
    probes: int = 0
    trained: int = 0
    recall: float = 1.0
    sha256: str


class Snapshot(NamedTuple):
    """Keys (n) and their vectors (n, width); `cells` is a faiss index of codes over the same rows, or None."""

    manifest: Manifest
    keys: Keys
    vectors: Matrix
    cells: Any = None
    path: Path | None = None

    def search(self, vector: Matrix, k: int) -> Found:
        """At most `k` keys with their cosine, in no order that counts."""
        if self.cells is None:
            return exact(self.keys, self.vectors, vector, k)
        rows, scores = _ranked(self.cells, self.vectors, vector, k)
        return list(zip(self.keys[rows].tolist(), scores.tolist(), strict=True))


def exact(keys: Keys, vectors: Matrix, vector: Matrix, k: int) -> Found:
    """At most `k` keys with their cosine, by looking at every vector."""
    most = min(k, len(keys))
    if not most:
        return []
    scores, places = faiss.knn(vector.reshape(1, -1), vectors, most, metric=faiss.METRIC_INNER_PRODUCT)
    return list(zip(keys[places[0]].tolist(), scores[0].tolist(), strict=True))


def held(keys: Keys, vectors: Matrix) -> Snapshot:
    """In memory alone, searched exactly."""
    manifest = Manifest(embedder="", width=vectors.shape[1], count=len(keys), newest=0, sha256="")
    return Snapshot(manifest, keys, vectors)


def write(
    folder: Path,
    embedder: str,
    width: int,
    parts: Iterable[Part],
    grown: Snapshot | None = None,
    exact_until: int = EXACT_UNTIL,
) -> Snapshot:
    """Makes the files of `parts` aside, moves them into place and opens them; older ones are removed.

    `grown` is the snapshot that the first part is all of: its cells are kept and the rest is put into them.
    """
    aside = folder / f"aside-{os.getpid()}"
    _clear(folder)
    aside.mkdir(parents=True)
    try:
        count, newest = 0, 0
        with (aside / "vectors.f32").open("wb") as rows, (aside / "keys.i64").open("wb") as names:
            for keys, vectors in parts:
                for at in range(0, len(keys), CHUNK):
                    rows.write(np.ascontiguousarray(vectors[at : at + CHUNK], dtype=np.float32).data)
                names.write(np.ascontiguousarray(keys, dtype=np.int64).data)
                count += len(keys)
                newest = max(newest, int(keys.max(initial=0)))
        found = Manifest(embedder=embedder, width=width, count=count, newest=newest, sha256="")
        if count > exact_until:
            _, vectors = _mapped(aside, found)
            cells, trained = _grow(grown, vectors) if grown else (_lay_out(vectors), count)
            probes, recall = _tune(cells, vectors)
            if grown and recall < RECALL:
                cells, trained = _lay_out(vectors), count
                probes, recall = _tune(cells, vectors)
            faiss.write_index(cells, str(aside / "cells.faiss"))
            found = found.model_copy(
                update={"cells": cells.nlist, "probes": probes, "trained": trained, "recall": recall}
            )
            del cells
        found = found.model_copy(update={"sha256": _sha256(aside)})
        (aside / "manifest.json").write_text(found.model_dump_json(indent=2))
        for path in (*aside.iterdir(), aside):
            _sync(path)
        place = folder / f"{newest:015}-{secrets.token_hex(4)}"
        aside.rename(place)
        _sync(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    made = _open(place, found)
    for old in folder.glob("[0-9]*"):
        if old != place:  # where it is still open, its files stay readable
            shutil.rmtree(old, ignore_errors=True)
    return made


def newest(folder: Path, embedder: str, width: int) -> Snapshot | str | None:
    """The newest that was written; why it is refused when it is not whole or of another embedder."""
    places = sorted(folder.glob("[0-9]*"))
    if not places:
        return None
    try:
        found = Manifest.model_validate_json((places[-1] / "manifest.json").read_bytes())
        wanted = (FORM, faiss.__version__, embedder, width)
        if (found.form, found.faiss, found.embedder, found.width) != wanted:
            return f"it was made for {found.embedder} by {found.faiss}"
        if _sha256(places[-1]) != found.sha256:
            return "its files are not what its manifest says"
        return _open(places[-1], found)
    except (OSError, ValidationError, RuntimeError, ValueError) as error:
        return f"it cannot be read: {type(error).__name__}"


def _clear(folder: Path) -> None:
    """Removes what a process that ended was writing."""
    for aside in folder.glob("aside-*"):
        pid = int(aside.name.removeprefix("aside-"))
        if pid == os.getpid() or not _runs(pid):
            shutil.rmtree(aside, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def _open(place: Path, found: Manifest) -> Snapshot:
    keys, vectors = _mapped(place, found)
    if not found.cells:
        return Snapshot(found, keys, vectors, None, place)
    cells: Any = faiss.read_index(str(place / "cells.faiss"), faiss.IO_FLAG_MMAP)
    cells.nprobe = found.probes
    # Threads that fetch lists ahead help on spinning disks; here they cost more than they give.
    lists: Any = faiss.downcast_InvertedLists(cells.invlists)
    lists.prefetch_nthread = 0
    return Snapshot(found, keys, vectors, cells, place)


def _mapped(place: Path, found: Manifest) -> Part:
    if not found.count:  # an empty file cannot be mapped
        return np.empty(0, np.int64), np.empty((0, found.width), np.float32)
    keys = np.memmap(place / "keys.i64", np.int64, "r", shape=(found.count,))
    vectors = np.memmap(place / "vectors.f32", np.float32, "r", shape=(found.count, found.width))
    return np.asarray(keys), np.asarray(vectors)


def _lay_out(vectors: Matrix) -> Any:
    """Cells around centres of a sample: four times the root of the count, to the power of two below."""
    number = 2 ** int(np.log2(4 * np.sqrt(len(vectors))))
    rng = np.random.default_rng(0)
    sample = vectors[np.sort(rng.choice(len(vectors), min(len(vectors), number * 40), replace=False))]
    width = vectors.shape[1]
    cells = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width),
        width,
        number,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    cells.cp.niter = 10
    cells.train(sample)
    _put(cells, vectors)
    return cells


def _grow(old: Snapshot, vectors: Matrix) -> tuple[Any, int]:
    assert old.path is not None
    cells = faiss.read_index(str(old.path / "cells.faiss"))
    _put(cells, vectors[old.manifest.count :])
    return cells, old.manifest.trained


def _put(cells: Any, vectors: Matrix) -> None:
    for at in range(0, len(vectors), CHUNK):
        cells.add(vectors[at : at + CHUNK])


def _tune(cells: Any, vectors: Matrix) -> tuple[int, float]:
    """The fewest cells to look into, by doubling, that find the wanted share of the five nearest.

    By their cosine, as equal vectors are equally right; and each without itself.
    """
    asked = vectors[np.random.default_rng(1).choice(len(vectors), _ASKED, replace=False)]
    right, _ = faiss.knn(asked, vectors, 6, metric=faiss.METRIC_INNER_PRODUCT)
    cells.nprobe, recall = 4, 0.0
    while recall < RECALL and cells.nprobe < cells.nlist:
        cells.nprobe *= 2
        found = [_ranked(cells, vectors, vector, 6)[1] for vector in asked]
        hits = sum(
            int((one >= least - 1e-6).sum()) - 1 for one, least in zip(found, right[:, 5], strict=True)
        )
        recall = hits / (5 * _ASKED)
    return int(cells.nprobe), round(recall, 4)


def _ranked(cells: Any, vectors: Matrix, vector: Matrix, k: int) -> tuple[Keys, Matrix]:
    """Rows and cosines of the `k` best candidates, best first."""
    _, rows = cells.search(vector.reshape(1, -1), _CANDIDATES * k)
    found = rows[0][rows[0] >= 0]
    scores = vectors[found] @ vector
    best = np.argsort(-scores, kind="stable")[:k]
    return found[best], scores[best]


def _sha256(place: Path) -> str:
    digest = hashlib.sha256()
    for name in ("keys.i64", "vectors.f32", "cells.faiss"):
        if (place / name).exists():
            with (place / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
