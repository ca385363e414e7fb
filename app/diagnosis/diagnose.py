"""Diagnose: asks every scorer, combines what they say, and makes the result honest."""

import time
from collections.abc import Callable, Mapping, Sequence

from app.diagnosis.calibrate import calibrate
from app.diagnosis.choose import Records, choose
from app.diagnosis.diagnosis import UNKNOWN, Diagnosis, EvidenceKind, Finding, Ranked, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.fit import Fitted
from app.diagnosis.fuse import fuse
from app.diagnosis.scorer import Judge, Scorer, named, silent
from app.diagnosis.weigh import Heard, weigh
from app.foundation import metrics, traces
from app.foundation.clock import Clock
from app.foundation.ids import new_id
from app.foundation.logging import log
from app.knowledge.retrieve import Cited, Retriever
from app.knowledge.taxonomy import Taxonomy

# A judge is not asked where the others are this sure; else it chooses among the types that hold so much.
_SURE = 0.95
_CANDIDATES = 4


class Diagnose:
    """The set of scorers that runs, frozen, with its weights and calibration."""

    def __init__(
        self,
        scorers: Sequence[Scorer],
        weights: dict[str, float],
        fitted: Fitted,
        retriever: Retriever,
        taxonomy: Taxonomy,
        registered: Sequence[str],
        records: Records,
        clock: Clock,
        judge: Judge | None = None,
        heard: Callable[[], Mapping[str, Heard]] = dict,
    ) -> None:
        """`registered` are the strategies that can run here, `records` their track records.

        `judge` chooses between the likely types when the scorers are not sure; `heard` tells how often each
        voice was right here.
        """
        self._scorers = tuple(scorers)
        self._weights = weights
        self.fitted = fitted
        self._retriever = retriever
        self._taxonomy = taxonomy
        self._registered = tuple(registered)
        self._records = records
        self._clock = clock
        self._judge = judge
        self._heard = heard
        self.scorer_set = f"set-{fitted.manifest.id}"

    def diagnose(self, symptom: Symptom, episode: int = 1, diagnosis_id: str = "") -> Diagnosis:
        """What kind of failure this is. Never raises because of a scorer, stores nothing."""
        began = time.perf_counter()
        at = self._clock.now()
        text = excerpt(symptom.message, symptom.log)
        findings = tuple(
            self._ask(scorer, scorer.score, symptom) if text else silent(scorer, "there is no text to read")
            for scorer in self._scorers
        )
        types = self._types(findings)
        voices = weigh(self._weights, self.fitted.accuracy, self._heard(), len(types))
        weights = {voice.scorer: voice.weight for voice in voices}
        fused = fuse(findings, weights, types)
        if self._judge is not None and text:
            findings = (*findings, self._judged(self._judge, symptom, fused))
            fused = fuse(findings, weights, types)
        best = max(fused, key=lambda type_: (fused[type_], type_))
        heard = any(finding.contributes for finding in findings)
        confidence = calibrate(self.fitted.calibration, fused, findings) if heard else 0.0
        type_ = best if heard else (UNKNOWN if UNKNOWN in types else best)
        cited = self._cited(text)
        choices = choose(self._taxonomy, self._registered, type_, fused, cited, self._records())
        took = time.perf_counter() - began
        metrics.DIAGNOSE_SECONDS.observe(took)
        return Diagnosis(
            id=diagnosis_id or new_id("dia", at),
            incident_id=symptom.incident_id,
            episode=episode,
            at=at,
            type=type_,
            confidence=round(confidence, 4),
            ranked=tuple(
                Ranked(type=name, probability=round(p, 4))
                for name, p in sorted(fused.items(), key=lambda pair: (-pair[1], pair[0]))
            ),
            choices=choices,
            runbook=_most_relevant(cited, type_, findings),
            excerpt=text,
            findings=findings,
            scorer_set=self.scorer_set,
            voices=voices,
            milliseconds=round(took * 1000, 2),
        )

    def _judged(self, judge: Judge, symptom: Symptom, fused: Mapping[str, float]) -> Finding:
        likely = sorted(fused, key=lambda type_: (-fused[type_], type_))[:_CANDIDATES]
        if fused[likely[0]] >= _SURE:
            return silent(judge, f"not asked: the others are sure of {likely[0]}")
        # That it is none of them must always be sayable.
        candidates = list(dict.fromkeys([*likely, UNKNOWN])) if UNKNOWN in fused else likely
        return self._ask(judge, lambda asked: judge.judge(asked, candidates), symptom)

    def _ask(self, scorer: Scorer, say: Callable[[Symptom], Finding], symptom: Symptom) -> Finding:
        try:
            with traces.part("score", scorer=named(scorer)):
                return say(symptom)
        except Exception as error:
            metrics.SCORERS_FAILED.labels(named(scorer)).inc()
            log(__name__).error("scorer.failed", scorer=named(scorer), exc_info=error)
            return Finding(
                scorer=named(scorer), scores={}, contributes=False, hint=f"it failed: {type(error).__name__}"
            )

    def _types(self, findings: Sequence[Finding]) -> tuple[str, ...]:
        """The fitted types, and those that only the site's own cases know."""
        own = {name for finding in findings for name in finding.scores} - set(self.fitted.types)
        return (*self.fitted.types, *sorted(own))

    def _cited(self, text: str) -> list[Cited]:
        return self._retriever.sections(text, 3) if text else []


def _most_relevant(cited: Sequence[Cited], type_: str, findings: Sequence[Finding]) -> str:
    """The cited section of a runbook whose own signal matches, else of one for this type, else the first.

    Of several with a signal, one for this type.
    """
    rules = {e.ref.partition("#")[0] for f in findings for e in f.evidence if e.kind is EvidenceKind.RULE}
    fitting = [item for item in cited if type_ in item.runbook.types]
    signalled = [item for item in cited if item.runbook.id in rules]
    both = [item for item in signalled if item in fitting]
    return next((items[0].ref for items in (both, signalled, fitting, cited) if items), "")


def strongest(diagnosis: Diagnosis, kind: EvidenceKind, most: int = 5) -> list[tuple[str, float, str]]:
    """(ref, weight, type) of the strongest evidence of one kind, over all findings."""
    found = [
        (item.ref, item.weight, item.type)
        for finding in diagnosis.findings
        for item in finding.evidence
        if item.kind is kind
    ]
    return sorted(set(found), key=lambda row: (-row[1], row[0]))[:most]
