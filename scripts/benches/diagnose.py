"""How long one diagnosis takes with N cases in the index, and how many messages a second in bulk.

The cases are ours and, up to N, variations of them with other names and numbers, made from a seed and kept
nowhere. The messages are variations too, from another seed; none is seen twice.
"""

import argparse
import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scripts.benches._common import data_folder, milliseconds

_WORD = re.compile(r"[A-Za-z]{4,}")
_NUMBER = re.compile(r"\d+")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=10_000, help="in the index")
    parser.add_argument(
        "--messages", type=int, default=500, help="diagnosed one by one, then as many in bulk"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="in bulk")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One by one, then in bulk."""
    from app.diagnosis.build import embedded
    from app.diagnosis.diagnosis import Symptom
    from app.foundation import logging
    from app.settings import read_settings
    from app.wiring import build_brain, open_store

    logging.configure(json=False, level="WARNING")
    with data_folder(options.prepared) as folder:
        settings = read_settings(os.environ | {"MENDLINE_DATA_DIR": str(folder)})
        store = open_store(settings)
        began = time.perf_counter()
        brain, retriever = build_brain(store)
        loaded = time.perf_counter() - began
        from app.knowledge import store as knowledge
        from app.knowledge.case import read_cases

        ours = list(read_cases(store.knowledge / "cases"))
        rng = random.Random(1)
        made = [
            case.model_copy(update={"id": f"varied-{number}", "text": vary(case.text, rng)})
            for number, case in enumerate(rng.choices(ours, k=max(0, options.cases - len(ours))))
        ]
        read = embedded(made)
        vectors = retriever.embedder.embed(read)
        with store.database.writing() as session:
            for case, text, vector in zip(made, read, vectors, strict=True):
                knowledge.add(session, case)
                knowledge.keep_vectors(session, {knowledge.embedding_key(retriever.embedder, text): vector})
        if made:
            retriever.add_case(made[-1], vectors[-1])
        rng = random.Random(2)
        texts = [vary(case.text, rng) for case in rng.choices(ours, k=2 * options.messages + 5)]
        for text in texts[:5]:
            brain.diagnose(Symptom(message=text))
        taken = []
        for text in texts[5 : 5 + options.messages]:
            began = time.perf_counter()
            brain.diagnose(Symptom(message=text))
            taken.append(time.perf_counter() - began)
        bulk = [Symptom(message=text) for text in texts[5 + options.messages :]]
        with ThreadPoolExecutor(options.threads) as pool:
            began = time.perf_counter()
            list(pool.map(brain.diagnose, bulk))
            took = time.perf_counter() - began
        store.database.close()
        return {
            "cases": retriever.cases,
            "ours": len(ours),
            "loaded_s": round(loaded, 2),
            "one_ms": milliseconds(taken),
            "characters": round(sum(map(len, texts)) / len(texts)),
            "bulk_per_second": round(len(bulk) / took, 1),
            "bulk_threads": options.threads,
        }


def vary(text: str, rng: random.Random) -> str:
    """The same kind of message from elsewhere: every number is another one, and so is a word in ten."""
    text = _NUMBER.sub(lambda match: str(rng.randrange(10 ** min(len(match[0]), 9))), text)
    return _WORD.sub(lambda match: _made_up(rng) if rng.random() < 0.1 else match[0], text)


def _made_up(rng: random.Random) -> str:
    return "".join(rng.choice("bcdfglmnprst") + rng.choice("aeiou") for _ in range(rng.randrange(2, 5)))
