"""Nearest cases: votes with the labels of the most similar past cases.

Reads:  the case index (cosine of unit vectors, -1 to 1).
Costs:  one embedding and one index search.
Weak:   cold start; abstains when no case is near enough.
From:   k-nearest-neighbour voting (Cover and Hart, 1967), weighted by similarity.
"""

import math
from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from app.diagnosis.diagnosis import Evidence, EvidenceKind, Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.scorer import named, shares, silent
from app.foundation.record import Record
from app.knowledge.case import Case
from app.knowledge.retrieve import Near, Retriever


class NearestCases:
    id: ClassVar[str] = "nearest_cases"
    version: ClassVar[str] = "1"

    class Params(Record):
        k: int = Field(5, ge=1, le=50)
        near: float = Field(0.30, ge=-1, le=1)  # cosine; below it a neighbour says nothing
        sharp: float = Field(0.06, gt=0)  # cosine by which a vote falls to 1/e

    def __init__(self, params: "NearestCases.Params", retriever: Retriever) -> None:
        self._params = params
        self._retriever = retriever

    @staticmethod
    def vote(params: "NearestCases.Params", neighbours: Iterable[tuple[str, float]]) -> dict[str, float]:
        """Shares per type from (type, cosine), best first; empty when none is near."""
        near = [(type_, similarity) for type_, similarity in neighbours if similarity >= params.near]
        if not near:
            return {}
        top = near[0][1]
        votes: dict[str, float] = {}
        for type_, similarity in near:
            votes[type_] = votes.get(type_, 0.0) + math.exp((similarity - top) / params.sharp)
        total = sum(votes.values())
        # The further the best neighbour, the more of the mass is withheld.
        held = min(1.0, max(0.05, (top - params.near) / (0.85 - params.near)))
        return {type_: held * vote / total for type_, vote in votes.items()}

    def score(self, symptom: Symptom) -> Finding:
        found = self._retriever.nearest_cases(excerpt(symptom.message, symptom.log), self._params.k)
        votes = self.vote(self._params, [(near.case.type, near.similarity) for near in found])
        evidence = tuple(cite(near) for near in found)
        if not votes:
            nearest = f"{found[0].similarity:.2f}" if found else "none"
            return silent(
                self, f"no past case is near (best {nearest}, needs {self._params.near:.2f})"
            ).model_copy(update={"evidence": evidence})
        best = max(votes, key=lambda type_: votes[type_])
        agree = sum(near.case.type == best for near in found)
        return Finding(
            scorer=named(self),
            scores=shares(votes),
            contributes=True,
            hint=f"{agree} of the {len(found)} nearest cases are {best}",
            evidence=evidence,
        )


def cite(near: Near) -> Evidence:
    """A neighbour as evidence, with how it ended where that is known."""
    case: Case = near.case
    says = case.resolution
    if case.success is not None:
        says = f"{case.strategy} {'helped' if case.success else 'did not help'}. {case.resolution}".strip()
    return Evidence(
        kind=EvidenceKind.CASE,
        ref=case.id,
        quote=case.text[:200],
        weight=near.similarity,
        type=case.type,
        says=says[:300],
    )
