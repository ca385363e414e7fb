"""Gaps: incidents that nothing here explains, gathered by what they have in common.

A gap is a type that the taxonomy may lack: several incidents, near to each other in meaning, that were
diagnosed as unknown or with less confidence than a proposal takes and that nobody has labelled since.
Average-linkage clustering by cosine; the suggested name is the words that set the cluster apart.
(Class-based TF-IDF: Grootendorst, "BERTopic", 2022.)
"""

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from sqlmodel import Session, col, select

from app.diagnosis.diagnosis import UNKNOWN, Diagnosis
from app.diagnosis.excerpt import meaning
from app.diagnosis.tables import DiagnosisRow, LabelRow
from app.foundation.record import Record
from app.knowledge.embed import Matrix
from app.knowledge.retrieve import Retriever

_APART = 0.45  # cosine distance, on average, at which two clusters stay two
_LEAST = 3
_MOST = 2_000
_WORD = re.compile(r"[A-Za-z][a-z]{2,}|[A-Z]{3,}")
# Beside the words of plain English: what every message says.
_DULL = frozenset(("error", "errors", "failed", "failure", "exception", "code", "line", "file", "job", "run"))


class Gap(Record):
    """`nearest` is the known type that its incidents come closest to, with how sure that is on average."""

    name: str
    incidents: tuple[str, ...]
    examples: tuple[str, ...]
    nearest: str
    confidence: float
    last_seen: datetime


def unexplained(session: Session, ask_at: float, most: int = _MOST) -> list[Diagnosis]:
    """The newest diagnosis of each unlabelled incident where it is unknown or less sure than `ask_at`."""
    rows = session.exec(
        select(DiagnosisRow)
        .where((col(DiagnosisRow.type) == UNKNOWN) | (col(DiagnosisRow.confidence) < ask_at))
        .where(col(DiagnosisRow.incident_id).not_in(select(LabelRow.incident_id)))
        .order_by(col(DiagnosisRow.at).desc())
        .limit(most)
    ).all()
    newest: dict[str, Diagnosis] = {}
    for row in rows:
        newest.setdefault(row.incident_id, Diagnosis.model_validate_json(row.body))
    return list(newest.values())


def gaps(diagnoses: Sequence[Diagnosis], retriever: Retriever, least: int = _LEAST) -> list[Gap]:
    """The clusters of at least `least` incidents, the largest first."""
    told = [one for one in diagnoses if one.excerpt.strip()]
    if len(told) < max(1, least):
        return []
    vectors = np.vstack([retriever.embed(one.excerpt) for one in told])
    clusters = _clusters(vectors) if len(told) > 1 else [0]
    members: dict[int, list[int]] = {}
    for place, cluster in enumerate(clusters):
        members.setdefault(int(cluster), []).append(place)
    groups = sorted((places for places in members.values() if len(places) >= least), key=len, reverse=True)
    names = _names([[told[place] for place in places] for places in groups], told)
    return [
        _gap(name, [told[place] for place in places], vectors[places])
        for name, places in zip(names, groups, strict=True)
    ]


def _clusters(vectors: Matrix) -> Sequence[int]:
    from sklearn.cluster import AgglomerativeClustering

    found: Sequence[int] = AgglomerativeClustering(
        n_clusters=None, distance_threshold=_APART, metric="cosine", linkage="average"
    ).fit_predict(vectors)
    return found


def _gap(name: str, members: list[Diagnosis], vectors: Matrix) -> Gap:
    # The most typical first: nearest to the middle of the cluster.
    order = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")
    types: dict[str, list[float]] = {}
    for one in members:
        known = next((ranked for ranked in one.ranked if ranked.type != UNKNOWN), None)
        if known is not None:
            types.setdefault(known.type, []).append(known.probability)
    nearest = max(types, key=lambda type_: sum(types[type_]), default=UNKNOWN)
    return Gap(
        name=name,
        incidents=tuple(members[place].incident_id for place in order),
        examples=tuple(dict.fromkeys(members[place].excerpt[:300] for place in order))[:3],
        nearest=nearest,
        confidence=round(sum(types.get(nearest, [])) / len(members), 4),
        last_seen=max(one.at for one in members),
    )


def _spoken(one: Diagnosis) -> set[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    spoken = {word.lower() for word in _WORD.findall(meaning(one.excerpt))}
    return spoken - _DULL - set(ENGLISH_STOP_WORDS)


def _names(groups: list[list[Diagnosis]], everyone: Sequence[Diagnosis]) -> list[str]:
    """For each group the three words that most of its members say and few others do."""
    said: dict[str, int] = {}
    for one in everyone:
        for word in _spoken(one):
            said[word] = said.get(word, 0) + 1
    names: list[str] = []
    for group in groups:
        inside: dict[str, int] = {}
        for one in group:
            for word in _spoken(one):
                inside[word] = inside.get(word, 0) + 1
        weighed = {
            word: count / len(group) * np.log(1 + len(everyone) / said[word])
            for word, count in inside.items()
        }
        best = sorted(weighed, key=lambda word: (-weighed[word], word))[:3]
        name = "_".join(best) or "unnamed"
        number = sum(other == name or other.startswith(f"{name}_") for other in names)
        names.append(f"{name}_{number + 1}" if number else name)
    return names
