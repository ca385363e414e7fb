"""Nearest cases among N: how soon, how rightly, in how much memory, and while cases are being added.

The cases are made up. Their vectors lie as messages do: each between a shipped case's and that of one of its
twenty nearest, moved by half the difference of another such pair, and by a little noise. The queries are made
likewise from another seed; none is in the index.
A search is all that diagnosing waits for: the index, and the rows of the five cases that it names.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

from scripts.benches._common import ROOT, data_folder, first, milliseconds

_CHUNK = 10_000
_NOISE = 0.1


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=10_000, help="in the index")
    parser.add_argument(
        "--queries", type=int, default=1_000, help="one by one, then from each of four threads"
    )
    parser.add_argument("--adds", type=int, default=1_000, help="cases that are added while another searches")
    parser.add_argument("--rate", type=float, default=100, help="of which a second, and searches beside them")
    parser.add_argument("--opened", type=Path, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Builds here; opens and searches in a process of its own."""
    if options.opened:
        return _opened(options)
    with data_folder(options.prepared) as folder:
        rows, built = _build(folder, options.cases)
        again = [sys.executable, str(ROOT / "scripts/bench"), "index", "--opened", str(folder)]
        for name in ("cases", "queries", "adds", "rate"):
            again += [f"--{name}", str(getattr(options, name))]
        # As in the product: threads that wait for each other in a loop take the cores from those that serve.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        found = json.loads(subprocess.run(again, env=environment, stdout=subprocess.PIPE, check=True).stdout)
        return {
            "rows_s": rows,
            "build_s": built,
            "index_mb": _megabytes(folder / "index"),
            "database_mb": _megabytes(folder, "mendline.db*"),
            **{name: value for name, value in found.items() if name not in ("bench", "machine")},
        }


def _build(folder: Path, count: int) -> tuple[float, float]:
    """Rows of cases and vectors, then the index of them; the seconds that each took."""
    from sqlalchemy import delete

    from app.db.bulk import insert_rows
    from app.knowledge import snapshot, store
    from app.knowledge.case import Case, Origin
    from app.knowledge.tables import CaseRow, EmbeddingRow

    began = time.perf_counter()
    database, embedder, seeds = _shipped(folder)
    types = sorted({case.type for case in seeds[0]})
    with database.writing() as session:
        session.execute(delete(CaseRow))
    for at in range(0, count, _CHUNK):
        vectors = _made(seeds, min(_CHUNK, count - at), seed=at)
        numbers = range(at + 1, at + 1 + len(vectors))
        cases = [
            Case(id=f"made-{n:08}", text=_text(n), type=types[n % len(types)], origin=Origin.OUTCOME)
            for n in numbers
        ]
        with database.writing() as session:
            connection = session.connection()
            rows = [
                {**case.model_dump(), "retired": False, "number": n}
                for n, case in zip(numbers, cases, strict=True)
            ]
            insert_rows(connection, CaseRow.metadata.tables["knowledge_case"], rows)
            kept = [
                {"key": store.embedding_key(embedder, case.text), "vector": vector.tobytes()}
                for case, vector in zip(cases, vectors, strict=True)
            ]
            insert_rows(connection, EmbeddingRow.metadata.tables["knowledge_embedding"], kept)
    database.close()
    rows_took = time.perf_counter() - began
    began = time.perf_counter()
    import numpy as np

    parts = (
        (np.arange(at + 1, at + 1 + min(_CHUNK, count - at)), _made(seeds, min(_CHUNK, count - at), seed=at))
        for at in range(0, count, _CHUNK)
    )
    snapshot.write(folder / "index", embedder.id, embedder.width, parts)
    return round(rows_took, 2), round(time.perf_counter() - began, 2)


def _opened(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from app.knowledge import store
    from app.knowledge.case import Case, Origin
    from app.knowledge.load import StoredCases

    folder = options.opened
    database, embedder, seeds = _shipped(folder)
    queries = _made(seeds, 2 * options.queries, seed=-1)
    fresh = _made(seeds, options.adds, seed=-2)
    del seeds
    before = _resident()
    began = time.perf_counter()
    cases = StoredCases(database, embedder, str, folder / "index")
    cases.open()
    took = time.perf_counter() - began

    def search(some: Any) -> list[float]:
        taken = []
        for query in some:
            at = time.perf_counter()
            cases.nearest(query, 5)
            taken.append(time.perf_counter() - at)
        return taken

    first = search(queries[options.queries :])
    alone = search(queries[: options.queries])
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(search, np.array_split(queries, 4))
        shared = [one for part in parts for one in part]
    resident = _resident()
    recall = _recall(cases, queries[: options.queries])
    done = threading.Event()
    beside: list[float] = []

    def read() -> None:
        for query in cycle(queries):
            if done.wait(1 / options.rate):
                return
            beside.extend(search([query]))

    reader = threading.Thread(target=read)
    reader.start()
    adds, started = [], time.perf_counter()
    for number, vector in enumerate(fresh):
        time.sleep(max(0.0, started + number / options.rate - time.perf_counter()))
        at = time.perf_counter()
        case = Case(id=f"added-{number:08}", text=f"added {number}", type="t", origin=Origin.OUTCOME)
        with database.writing() as session:
            store.add(session, case)
            store.keep_vectors(session, {store.embedding_key(embedder, case.text): vector})
        cases.add(case, vector)
        adds.append(time.perf_counter() - at)
    adding = time.perf_counter() - started
    done.set()
    reader.join()
    manifest = cases.view.bulk.manifest
    return {
        "cases": len(cases),
        "open_s": round(took, 2),
        "rss_mb": resident,
        "rss_before_mb": before,
        "cells": manifest.cells,
        "probes": manifest.probes,
        "recall_at_5": recall,
        "recall_in_manifest": manifest.recall,
        "first_searches_ms": milliseconds(first),
        "search_ms": milliseconds(alone),
        "search_4_threads_ms": milliseconds(shared),
        "adds_per_second": round(len(adds) / adding, 1),
        "add_ms": milliseconds(adds),
        "search_while_adding_ms": milliseconds(beside),
    }


def _recall(cases: Any, queries: Any) -> float:
    """The share of the five nearest by exact search that is found; equal cosines are equally right."""
    import faiss

    view = cases.view
    right, _ = faiss.knn(queries, view.bulk.vectors, 5, metric=faiss.METRIC_INNER_PRODUCT)
    hits = 0
    for query, least in zip(queries, right[:, 4], strict=True):
        hits += sum(score >= least - 1e-6 for _, score in cases.nearest(query, 5))
    return round(hits / (5 * len(queries)), 4)


def _shipped(folder: Path) -> tuple[Any, Any, Any]:
    """The database, the embedder, and each shipped case with its vector and those of its nearest."""
    import numpy as np

    from app.diagnosis.build import embedded
    from app.knowledge.case import read_cases
    from app.knowledge.embed import load_embedder
    from app.knowledge.load import load_vectors
    from app.settings import read_settings
    from app.wiring import open_store

    store = open_store(read_settings(os.environ | {"MENDLINE_DATA_DIR": str(folder)}))
    embedder = load_embedder(store.settings.knowledge.embedder, store.knowledge)
    ours = list(read_cases(store.knowledge / "cases"))
    vectors = load_vectors(store.database, embedder, embedded(ours))
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -1)
    return store.database, embedder, (ours, vectors, np.argsort(-similar, axis=1)[:, :20])


def _made(seeds: Any, count: int, seed: int) -> Any:
    """(count, width) unit vectors; the same for the same seed."""
    import numpy as np

    _, vectors, near = seeds
    rng = np.random.default_rng([abs(seed), seed < 0])
    one, other = rng.integers(len(vectors), size=(2, count))

    def towards(some: Any) -> Any:
        return vectors[near[some, rng.integers(near.shape[1], size=count)]] - vectors[some]

    share = rng.uniform(0, 1, (count, 1))
    noise = rng.standard_normal((count, vectors.shape[1])) * _NOISE / np.sqrt(vectors.shape[1])
    made = vectors[one] + share * towards(one) + 0.5 * towards(other) + noise
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def _text(number: int) -> str:
    return f"made up case {number}: connection to orders-{number % 977}.internal timed out after {number} ms"


def _megabytes(folder: Path, pattern: str = "**/*") -> float:
    return round(sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file()) / 2**20, 1)


def _resident() -> float:
    """Megabytes in memory now, those of mapped files among them; 0 where there is no /proc."""
    return round(int((first("/proc/self/status", "VmRSS").split() or ["0"])[0]) / 1024, 1)
