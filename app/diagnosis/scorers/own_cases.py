"""Own cases: what this very site has verified or corrected counts more than what was shipped.

Reads:  the case index, only cases from outcomes and corrections.
Costs:  an index search; the embedding is shared.
Weak:   silent until something near was seen here.
From:   nearest neighbours with a high threshold; its weight is set, not fitted, because a fresh
        install has nothing to fit it on.
"""

from typing import ClassVar

from pydantic import Field

from app.diagnosis.diagnosis import Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.scorer import named, shares, silent
from app.diagnosis.scorers.nearest_cases import cite
from app.foundation.record import Record
from app.knowledge.case import Origin
from app.knowledge.retrieve import Retriever


class OwnCases:
    id: ClassVar[str] = "own_cases"
    version: ClassVar[str] = "1"

    class Params(Record):
        k: int = Field(15, ge=1, le=100)
        near: float = Field(0.80, ge=-1, le=1)  # cosine

    def __init__(self, params: "OwnCases.Params", retriever: Retriever) -> None:
        self._params = params
        self._retriever = retriever

    def score(self, symptom: Symptom) -> Finding:
        found = [
            near
            for near in self._retriever.nearest_cases(excerpt(symptom.message, symptom.log), self._params.k)
            if near.case.origin is not Origin.SHIPPED and near.similarity >= self._params.near
        ][:5]
        if not found:
            return silent(self, "nothing like it was verified or corrected here yet")
        votes: dict[str, float] = {}
        for near in found:
            # A person's correction outweighs what outcomes suggested.
            trust = 3.0 if near.case.origin is Origin.CORRECTION else 1.0
            nearness = (near.similarity - self._params.near) / (1 - self._params.near)
            votes[near.case.type] = votes.get(near.case.type, 0.0) + trust * max(nearness, 0.05) ** 2
        total = sum(votes.values())
        best = max(votes, key=lambda type_: votes[type_])
        held = 0.5 + 0.5 * (found[0].similarity - self._params.near) / (1 - self._params.near)
        return Finding(
            scorer=named(self),
            scores=shares({type_: min(held, 1.0) * vote / total for type_, vote in votes.items()}),
            contributes=True,
            hint=f"{len(found)} like it were seen here, most were {best}",
            evidence=tuple(cite(near) for near in found),
        )
