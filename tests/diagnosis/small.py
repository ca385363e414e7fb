"""A small world to diagnose in: 65 cases of five types over 16 systems, two runbooks, no model weights."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from app.diagnosis.build import build, embedded
from app.diagnosis.choose import TrackRecord
from app.diagnosis.diagnose import Diagnose
from app.foundation.clock import FrozenClock
from app.knowledge.case import Case
from app.knowledge.embed import HashingEmbedder, Matrix
from app.knowledge.retrieve import Retriever
from app.knowledge.runbook import SECTIONS, Runbook, Section
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import Taxonomy, read_taxonomy
from app.remediation.strategies import STRATEGIES
from tests.situations import NOW

REGISTERED = tuple(kind.id for kind in STRATEGIES)
THINGS = (
    "orders", "payments", "the warehouse", "customers", "the index", "invoices", "stock", "the broker",
    "sessions", "the registry", "reports", "the gateway", "billing",
)  # fmt: skip
SYSTEMS = tuple(f"system-{n}" for n in range(16))
_SAYS = {
    "network_timeout": (
        "connection to {} timed out after 30 s",
        "no answer from {}: read timed out",
        "i/o timeout: {}",
    ),
    "quota_exceeded": (
        "429 too many requests while calling {}",
        "rate limit exceeded for {}",
        "quota of {} used up",
    ),
    "permission_denied": ("permission denied for {}", "403: the role may not read {}", "access denied to {}"),
    "data_duplication": (
        "duplicate key in {}",
        "{} has repeated rows after the load",
        "unique violation on {}",
    ),
    "unknown_error": (
        "{} stopped, exit code 1",
        "something went wrong in {}",
        "NoneType has no attribute {}",
    ),
}


def cases() -> list[Case]:
    """Thirteen of each type; the wording differs, the systems go round."""
    return [
        Case(
            id=f"{type_}-{number:02}",
            text=phrases[number % len(phrases)].format(thing),
            type=type_,
            system=SYSTEMS[(number * 5 + at) % len(SYSTEMS)],
            resolution=f"it was mended for {thing}",
        )
        for at, (type_, phrases) in enumerate(_SAYS.items())
        for number, thing in enumerate(THINGS)
    ]


def runbook(name: str, type_: str, strategy: str, signals: tuple[str, ...], symptoms: str) -> Runbook:
    """A whole runbook; only its symptoms say something."""
    return Runbook(
        id=name,
        types=(type_,),
        signals=signals,
        strategy=strategy,
        params={"tries": 2} if strategy == "retry_with_exponential_backoff" else {},
        risk="low",
        approval="auto",
        owner="data",
        reviewed=date(2026, 11, 1),
        title=name.replace("-", " "),
        sections=tuple(
            Section(heading=heading, line=line, text=symptoms if heading == "Symptoms" else "Nothing.")
            for line, heading in enumerate(SECTIONS, 15)
        ),
    )


RUNBOOKS = (
    runbook(
        "load-times-out",
        "network_timeout",
        "retry_with_exponential_backoff",
        ("timed out", "i/o timeout"),
        "connection to the database timed out after 30 s",
    ),
    runbook(
        "rows-loaded-twice",
        "data_duplication",
        "run_deduplication_script",
        ("duplicate key", r"repeated rows"),
        "duplicate key in orders, the load has run twice",
    ),
)


@cache
def taxonomy() -> Taxonomy:
    """The one that ships."""
    return read_taxonomy(knowledge_folder() / "taxonomy.yaml")


@cache
def vectors() -> Matrix:
    """Of `embedded(cases())`."""
    return HashingEmbedder().embed(embedded(cases()))


def make(
    models: Path | None,
    *,
    records: Mapping[str, TrackRecord] | None = None,
    runbooks: Sequence[Runbook] = RUNBOOKS,
    weights: Path | None = None,
) -> tuple[Diagnose, Retriever]:
    """A brain of its own; with `models` it is fitted there once, a second or so, and then read from there."""
    return build(
        cases(),
        vectors(),
        runbooks,
        HashingEmbedder(),
        taxonomy(),
        REGISTERED,
        lambda: records or {},
        FrozenClock(NOW),
        models,
        weights,
    )
