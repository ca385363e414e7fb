"""Retrieve: the nearest past cases and the most relevant runbook sections."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from app.foundation.record import Record
from app.knowledge.case import Case
from app.knowledge.cases import Cases, HeldCases
from app.knowledge.embed import Embedder, Matrix
from app.knowledge.index import VectorIndex
from app.knowledge.runbook import Runbook, Section
from app.knowledge.signals import Signals


class Near(Record):
    """A case and its cosine to the text (-1 to 1)."""

    case: Case
    similarity: float


class Cited(Record):
    """A runbook's section and its cosine to the text (-1 to 1)."""

    runbook: Runbook
    section: Section
    similarity: float

    @property
    def ref(self) -> str:
        """`id#section`."""
        return f"{self.runbook.id}#{self.section.anchor}"


class _Shelved(NamedTuple):
    """The runbooks that are searched; replaced as a whole, so that a reader never sees half of a change.

    `sections` names a chunk by its place; `signalled` are the runbooks of the signals, by theirs.
    """

    chunks: list[tuple[Runbook, Section]]
    sections: VectorIndex
    signals: Signals
    signalled: list[Runbook]


class Retriever:
    """Cases and runbook sections over one embedder. Safe to read from many threads."""

    def __init__(
        self,
        embedder: Embedder,
        read: Callable[[str], str] = lambda text: text,
        cache: int = 8192,
        cases: Cases | None = None,
    ) -> None:
        """`read` gives the part of a text that is embedded; texts that agree in it are embedded once."""
        self.embedder = embedder
        self.read = read
        self._cases = cases or HeldCases([], np.empty((0, embedder.width), np.float32))
        self._shelved = _Shelved([], VectorIndex(embedder.width), Signals([]), [])
        self._recent: OrderedDict[str, Matrix] = OrderedDict()
        self._cache = cache
        self._lock = threading.Lock()

    @property
    def cases(self) -> int:
        """How many cases are in force."""
        return len(self._cases)

    def embed(self, text: str) -> Matrix:
        """The unit vector of one text; one that was just seen is not embedded again."""
        read = self.read(text)
        with self._lock:
            known = self._recent.get(read)
            if known is not None:
                self._recent.move_to_end(read)
                return known
        vector: Matrix = self.embedder.embed([read])[0]
        with self._lock:
            self._recent[read] = vector
            if len(self._recent) > self._cache:
                self._recent.popitem(last=False)
        return vector

    def load_cases(self, cases: Sequence[Case], vectors: Matrix) -> None:
        """Replaces all cases by these, in memory; `vectors` is (len(cases), width)."""
        self._cases = HeldCases(cases, vectors)

    def add_case(self, case: Case, vector: Matrix) -> None:
        """Makes a case findable at once; one that has its id is replaced."""
        self._cases.add(case, vector)

    def forget(self, case_ids: Sequence[str]) -> None:
        """Makes cases that were unlearned unfindable at once."""
        self._cases.forget(case_ids)

    def load_runbooks(
        self, runbooks: Sequence[Runbook], embed: Callable[[Sequence[str]], Matrix] | None = None
    ) -> None:
        """Replaces all runbooks, chunked by section; a section's text is read with the runbook's title.

        `embed` may know the vectors of texts that were embedded before; else all are embedded now.
        """
        chunks: list[tuple[Runbook, Section]] = []
        texts: list[str] = []
        for runbook in runbooks:
            for section in runbook.sections:
                if section.heading in ("Seen in", "Roll back", "Escalate", "Verify"):
                    continue
                chunks.append((runbook, section))
                texts.append(self.read(f"{runbook.title}\n{section.text}"))
        vectors = (
            (embed or self.embedder.embed)(texts) if texts else np.empty((0, self.embedder.width), np.float32)
        )
        owned = [(runbook, signal) for runbook in runbooks for signal in runbook.signals]
        index = VectorIndex(self.embedder.width)
        index.load(range(len(chunks)), vectors)
        signals = Signals([signal for _, signal in owned])
        self._shelved = _Shelved(chunks, index, signals, [runbook for runbook, _ in owned])

    def nearest_cases(self, text: str, k: int = 5) -> list[Near]:
        """The `k` most similar cases, best first."""
        return [
            Near(case=case, similarity=round(score, 6))
            for case, score in self._cases.nearest(self.embed(text), k)
        ]

    def signalled(self, text: str) -> dict[str, tuple[Runbook, str]]:
        """The runbooks with a signal that matches, by id, and the text that matched first."""
        found: dict[str, tuple[Runbook, str]] = {}
        shelved = self._shelved
        for place, matched in shelved.signals.search(text):
            runbook = shelved.signalled[place]
            found.setdefault(runbook.id, (runbook, matched[:120]))
        return found

    def sections(self, text: str, k: int = 3) -> list[Cited]:
        """The `k` most relevant sections, best first, each from another runbook."""
        found: list[Cited] = []
        shelved = self._shelved
        for place, score in shelved.sections.search(self.embed(text), k * 4):
            runbook, section = shelved.chunks[place]
            if any(runbook.id == cited.runbook.id for cited in found):
                continue
            found.append(Cited(runbook=runbook, section=section, similarity=round(score, 6)))
            if len(found) == k:
                break
        return found
