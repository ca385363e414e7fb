"""Retrieve: the nearest past cases and the most relevant runbook sections."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from app.foundation.record import Record
from app.knowledge.case import Case
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


class Retriever:
    """Cases and runbook sections in memory, over one embedder. Safe to read from many threads."""

    def __init__(
        self, embedder: Embedder, read: Callable[[str], str] = lambda text: text, cache: int = 8192
    ) -> None:
        """`read` gives the part of a text that is embedded; texts that agree in it are embedded once."""
        self.embedder = embedder
        self.read = read
        self._cases: dict[str, Case] = {}
        self._forgotten: set[str] = set()
        self._case_index = VectorIndex(embedder.width)
        self._chunks: dict[str, tuple[Runbook, Section]] = {}
        self._signals = Signals([])
        self._signalled: list[Runbook] = []
        self._chunk_index = VectorIndex(embedder.width)
        self._recent: OrderedDict[str, Matrix] = OrderedDict()
        self._cache = cache
        self._lock = threading.Lock()

    @property
    def cases(self) -> int:
        """How many cases are findable."""
        return len(self._case_index)

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
        """Replaces all cases; `vectors` is (len(cases), width)."""
        self._cases = {case.id: case for case in cases}
        self._forgotten = set()
        self._case_index.load([case.id for case in cases], vectors)

    def add_case(self, case: Case, vector: Matrix) -> None:
        """Makes one new case findable at once; a case that is known by this id is only replaced."""
        known = case.id in self._cases or case.id in self._forgotten
        self._cases[case.id] = case
        self._forgotten.discard(case.id)
        if not known:
            self._case_index.add([case.id], vector.reshape(1, -1))

    def forget(self, case_ids: Sequence[str]) -> None:
        """Makes cases that were unlearned unfindable; searching passes over their vectors."""
        for case_id in case_ids:
            if self._cases.pop(case_id, None) is not None:
                self._forgotten.add(case_id)

    def load_runbooks(
        self, runbooks: Sequence[Runbook], embed: Callable[[Sequence[str]], Matrix] | None = None
    ) -> None:
        """Replaces all runbooks, chunked by section; a section's text is read with the runbook's title.

        `embed` may know the vectors of texts that were embedded before; else all are embedded now.
        """
        chunks: dict[str, tuple[Runbook, Section]] = {}
        texts: list[str] = []
        for runbook in runbooks:
            for section in runbook.sections:
                if section.heading in ("Seen in", "Roll back", "Escalate", "Verify"):
                    continue
                chunks[f"{runbook.id}#{section.anchor}"] = (runbook, section)
                texts.append(self.read(f"{runbook.title}\n{section.text}"))
        vectors = (
            (embed or self.embedder.embed)(texts) if texts else np.empty((0, self.embedder.width), np.float32)
        )
        self._chunks = chunks
        owned = [(runbook, signal) for runbook in runbooks for signal in runbook.signals]
        self._signalled = [runbook for runbook, _ in owned]
        self._signals = Signals([signal for _, signal in owned])
        self._chunk_index.load(list(chunks), vectors)

    def nearest_cases(self, text: str, k: int = 5) -> list[Near]:
        """The `k` most similar cases, best first."""
        found = self._case_index.search(self.embed(text), k + len(self._forgotten))
        cases = ((self._cases.get(case_id), score) for case_id, score in found)
        return [Near(case=case, similarity=round(score, 6)) for case, score in cases if case is not None][:k]

    def signalled(self, text: str) -> dict[str, tuple[Runbook, str]]:
        """The runbooks with a signal that matches, by id, and the text that matched first."""
        found: dict[str, tuple[Runbook, str]] = {}
        for place, matched in self._signals.search(text):
            runbook = self._signalled[place]
            found.setdefault(runbook.id, (runbook, matched[:120]))
        return found

    def sections(self, text: str, k: int = 3) -> list[Cited]:
        """The `k` most relevant sections, best first, each from another runbook."""
        found: list[Cited] = []
        for ref, score in self._chunk_index.search(self.embed(text), k * 4):
            chunk = self._chunks.get(ref)
            if chunk is None or any(chunk[0].id == cited.runbook.id for cited in found):
                continue
            found.append(Cited(runbook=chunk[0], section=chunk[1], similarity=round(score, 6)))
            if len(found) == k:
                break
        return found
