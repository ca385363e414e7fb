"""Messages as a fleet sends them: no two alike, in a few shapes, from a thousand targets."""

import random
from collections.abc import Iterator
from typing import Any

TARGETS = 1_000
_SYSTEMS = (("airflow", "dag"), ("kubernetes", "deployment"), ("github", "workflow"), ("dbt", "model"))
_WORDS = ("orders", "billing", "clicks", "search", "ranking", "stock", "tickets", "payments", "mail", "login")
_SHAPES = (
    "connection to {word}-db-{a}.internal:5432 timed out after {b} ms (request {hex}) while {doing}",
    "HTTP 503 from https://{word}.internal/v1/jobs/{hex}: upstream reset, attempt {a}, {doing}",
    "pod {word}-{hex}-{a} was OOMKilled while {doing}: used {b} MiB",
    "psycopg.errors.UndefinedColumn: column {word}_total of relation {word}_{a} does not exist, {doing} ({hex})",
    "permission denied for bucket {word}-archive/part-{b} (principal svc-{hex}) while {doing}",
    "could not fetch package {word}-client=={a}.{b}: no matching distribution found, {doing} in build {hex}",
    "duplicate key value violates unique constraint {word}_pkey: id={b} already exists in batch {hex}, {doing}",
    "checksum mismatch in /data/{word}/part-{a}.parquet: expected {hex}, {b} rows unreadable while {doing}",
    "429 Too Many Requests: quota of project {word}-{a} exceeded ({b} calls), trace {hex}, {doing}",
    "Traceback (most recent call last):\n  File '/srv/{word}/main.py', line {a}, in run\n"
    "KeyError: '{word}_setting' (run {hex}, {b} ms) while {doing}",
)
_DOING = ("loading the nightly batch", "answering a request")


def reports(seed: int) -> Iterator[dict[str, Any]]:
    """Endless. A target fails in three ways, each in two situations: at most 6,000 incidents."""
    rng = random.Random(seed)
    while True:
        target = rng.randrange(TARGETS)
        system, kind = _SYSTEMS[target % len(_SYSTEMS)]
        shape = _SHAPES[(target + rng.randrange(3)) % len(_SHAPES)]
        yield {
            "message": shape.format(
                word=_WORDS[target // 7 % len(_WORDS)],
                doing=rng.choice(_DOING),
                a=rng.randrange(1, 1000),
                b=rng.randrange(1000, 1_000_000),
                hex=f"{rng.getrandbits(48) | 0xA00000000001:012x}",
            ),
            "target": {"system": system, "kind": kind, "name": f"load-{target:04}", "environment": "prod"},
            "run_id": f"run-{rng.getrandbits(40):010x}",
        }
