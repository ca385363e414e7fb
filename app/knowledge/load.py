"""Load: cases and their vectors, from files and rows into memory, embedding only what is new."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from app.db.engine import Database
from app.foundation.logging import log
from app.knowledge import store
from app.knowledge.case import Case, read_cases
from app.knowledge.embed import Embedder, Matrix

_CHUNK = 256


def load_cases(database: Database, folder: Path) -> list[Case]:
    """Brings the shipped cases' rows up to date with `folder/cases` and returns every case in force."""
    shipped = list(read_cases(folder / "cases"))
    with database.writing(alone="shipped cases") as session:
        changed = store.replace_shipped(session, shipped)
        found = store.cases(session)
    if changed:
        log(__name__).info("knowledge.cases_changed", rows=changed)
    return found


def load_vectors(
    database: Database,
    embedder: Embedder,
    texts: Sequence[str],
    told: Callable[[int, int], None] | None = None,
) -> Matrix:
    """(len(texts), width) float32; vectors that were computed before come from their rows.

    `told` hears (done, of) while new ones are computed, which takes some 5 ms each.
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
