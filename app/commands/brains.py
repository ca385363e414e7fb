"""A brain made of rows alone: a site's own types, for `eval run --train`."""

from collections.abc import Sequence

from app.diagnosis.build import build, embedded
from app.diagnosis.diagnose import Diagnose
from app.knowledge.case import Case
from app.knowledge.embed import load_embedder
from app.knowledge.load import load_vectors
from app.knowledge.taxonomy import StrategyEntry, Taxonomy, TypeEntry
from app.learning.evaluate import Row
from app.wiring import Store


def brain_from_rows(store: Store, rows: Sequence[Row]) -> Diagnose:
    """Learns from `rows` only: their labels are the taxonomy, there are no runbooks."""
    labels = sorted({row.label for row in rows})
    taxonomy = Taxonomy(
        version=1,
        types={label: TypeEntry(when=label) for label in labels},
        strategies={
            "escalate_to_human": StrategyEntry(serves=("*",), prior=1.0, risk="none", undo="nothing to undo")
        },
    )
    cases = [
        Case(id=f"row-{place}", text=row.text, type=row.label, system=row.group)
        for place, row in enumerate(rows)
        if row.text.strip()
    ]
    embedder = load_embedder(store.settings.knowledge.embedder, store.knowledge)
    vectors = load_vectors(store.database, embedder, embedded(cases))
    brain, _ = build(
        cases,
        vectors,
        [],
        embedder,
        taxonomy,
        ["escalate_to_human"],
        dict,
        store.clock,
        weights=store.knowledge / "weights.json",
    )
    return brain
