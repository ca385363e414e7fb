"""Runbook sections: which runbooks speak of this, by meaning and by their own signals.

Reads:  the section index (cosine), and each runbook's `signals` (regular expressions).
Costs:  a search over a few hundred sections, and the signals on at most 1,500 characters.
Weak:   a runbook that cites its look-alikes is near to them too.
From:   passage retrieval by sentence embeddings; a signal that matches is a rule and says so.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from app.diagnosis.diagnosis import Evidence, EvidenceKind, Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.scorer import named, shares, silent
from app.foundation.record import Record
from app.knowledge.retrieve import Cited, Retriever
from app.knowledge.runbook import Runbook


class RunbookSections:
    id: ClassVar[str] = "runbook_sections"
    version: ClassVar[str] = "1"

    class Params(Record):
        k: int = Field(3, ge=1, le=20)
        near: float = Field(0.25, ge=-1, le=1)  # cosine
        sharp: float = Field(0.08, gt=0)
        signal: float = Field(0.35, ge=0)  # cosine that a matching signal is worth

    def __init__(self, params: "RunbookSections.Params", retriever: Retriever) -> None:
        self._params = params
        self._retriever = retriever

    def gather(self, text: str) -> tuple[list[Cited], dict[str, tuple[Runbook, str]]]:
        """The relevant sections, and by runbook id the signal that matched and its match."""
        return self._retriever.sections(text, self._params.k), self._retriever.signalled(text)

    def vote(self, cited: Sequence[Cited], signalled: dict[str, tuple[Runbook, str]]) -> dict[str, float]:
        """Shares per type; a runbook's first type counts whole, the others half."""
        strength: dict[str, tuple[Runbook, float]] = {}
        for item in cited:
            if item.similarity >= self._params.near:
                strength[item.runbook.id] = (item.runbook, item.similarity)
        for runbook_id, (runbook, _) in signalled.items():
            base = strength.get(runbook_id, (runbook, self._params.near))[1]
            strength[runbook_id] = (runbook, base + self._params.signal)
        if not strength:
            return {}
        top = max(value for _, value in strength.values())
        votes: dict[str, float] = {}
        for runbook, value in strength.values():
            share = math.exp((value - top) / self._params.sharp)
            for place, type_ in enumerate(runbook.types):
                votes[type_] = votes.get(type_, 0.0) + share * (1.0 if place == 0 else 0.5)
        total = sum(votes.values())
        held = min(1.0, max(0.05, (top - self._params.near) / 0.6))
        return {type_: held * vote / total for type_, vote in votes.items()}

    def score(self, symptom: Symptom) -> Finding:
        text = excerpt(symptom.message, symptom.log)
        cited, signalled = self.gather(text)
        votes = self.vote(cited, signalled)
        evidence = [
            Evidence(
                kind=EvidenceKind.RUNBOOK,
                ref=item.ref,
                quote=_first_line(item.section.text),
                weight=item.similarity,
                type=item.runbook.types[0],
                says=item.runbook.title,
            )
            for item in cited
        ]
        evidence += [
            Evidence(
                kind=EvidenceKind.RULE,
                ref=f"{runbook_id}#signals",
                quote=quote,
                weight=self._params.signal,
                type=runbook.types[0],
                says=runbook.title,
            )
            for runbook_id, (runbook, quote) in sorted(signalled.items())[:5]
        ]
        if not votes:
            return silent(self, "no runbook speaks of anything like it").model_copy(
                update={"evidence": tuple(evidence)}
            )
        best = max(votes, key=lambda type_: votes[type_])
        how = f"{len(signalled)} with a signal that matches" if signalled else "by meaning alone"
        return Finding(
            scorer=named(self),
            scores=shares(votes),
            contributes=True,
            hint=f"runbooks point to {best} ({how})",
            evidence=tuple(evidence),
        )


def _first_line(text: str) -> str:
    """The first line of a section that says something; the mark of a code block does not."""
    lines = (line for line in text.split("\n") if line.strip() and not line.startswith("```"))
    return next(lines, "")[:200]
