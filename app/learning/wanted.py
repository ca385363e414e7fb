"""Wanted: the corrections that would help most, to be given by a person with one click.

Incidents that are unknown or not sure enough to act on, gathered by meaning; of each cluster the most typical is
asked about, and the cluster in which a label would move the most doubt comes first. What a case that was learned
here is near to already is not asked again. (Density-weighted uncertainty sampling: Settles, 2010.)
"""

from collections.abc import Sequence
from datetime import datetime

from app.diagnosis.diagnosis import UNKNOWN, Diagnosis, Ranked
from app.foundation.record import Record
from app.knowledge.case import Origin
from app.knowledge.retrieve import Retriever
from app.learning.gaps import Gap, gaps

_ANSWERED = 0.8  # cosine to a case learned here from which the label is known
_SUGGESTED = 3


class Wanted(Record):
    """One question: of `moves` incidents alike the most typical, and the types that it may be, best first."""

    incident_id: str
    excerpt: str
    name: str
    moves: int
    suggested: tuple[Ranked, ...]
    last_seen: datetime


def wanted(diagnoses: Sequence[Diagnosis], retriever: Retriever, most: int = 20) -> list[Wanted]:
    """The questions worth most first: the more incidents, and the less sure of them, the more."""
    by_incident = {one.incident_id: one for one in diagnoses}
    clusters = sorted(gaps(diagnoses, retriever, least=1), key=_doubt, reverse=True)
    found: list[Wanted] = []
    for gap in clusters:
        typical = by_incident[gap.incidents[0]]
        if len(found) < most and not _answered(typical.excerpt, retriever):
            known = [ranked for ranked in typical.ranked if ranked.type != UNKNOWN]
            found.append(
                Wanted(
                    incident_id=typical.incident_id,
                    excerpt=typical.excerpt[:600],
                    name=gap.name,
                    moves=len(gap.incidents),
                    suggested=tuple(known[:_SUGGESTED]),
                    last_seen=gap.last_seen,
                )
            )
    return found


def _doubt(gap: Gap) -> float:
    return len(gap.incidents) * (1 - gap.confidence)


def _answered(excerpt: str, retriever: Retriever) -> bool:
    near = retriever.nearest_cases(excerpt, 3)
    return any(one.similarity >= _ANSWERED and one.case.origin is not Origin.SHIPPED for one in near)
