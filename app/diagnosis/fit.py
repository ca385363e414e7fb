"""Fit: from cases to the models, the weights of the scorers and the calibration.

Weights and calibration are fitted on out-of-fold scores, and a fold holds whole systems out:
what counts is being right on a system that was never seen. The result is one value with a
manifest; it is refused when it does not fit the cases, the embedder or the library versions.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from app.diagnosis.calibrate import Calibration, calibrate, features
from app.diagnosis.diagnosis import Evidence, EvidenceKind, Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.fuse import FLOOR, fuse
from app.diagnosis.linear import Linear
from app.diagnosis.reliability import Reliability, reliability
from app.diagnosis.scorers.embedding_linear import EmbeddingLinear
from app.diagnosis.scorers.nearest_cases import NearestCases
from app.diagnosis.scorers.runbook_sections import RunbookSections
from app.diagnosis.scorers.tfidf_linear import Terms, TfidfLinear
from app.foundation.errors import Invalid
from app.foundation.logging import log
from app.foundation.record import Record
from app.intake import normalise as templates
from app.knowledge.case import Case
from app.knowledge.embed import Matrix

VERSION = "3"
# What a site's own verified cases weigh beside the fitted scorers (see scorers/own_cases.py).
OWN_WEIGHT = 2.5
# A language model is not fitted either: it is another one at every site, so it begins small.
MODEL_WEIGHT = 0.3
Array = npt.NDArray[np.float64]
Votes = Callable[[str], dict[str, float]]
_FITTED = (TfidfLinear, EmbeddingLinear, NearestCases, RunbookSections)


class Manifest(Record):
    """What a fitted value was made from; equal manifests give equal results."""

    version: str
    cases: str
    rows: int
    embedder: str
    templates: str
    sklearn: str
    scorers: tuple[str, ...]

    @property
    def id(self) -> str:
        """Twelve hex characters; the scorer set's id in diagnoses."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class Weights(Record):
    """What the folds are for: the weights of the scorers and the calibration, and for what they hold.

    Kept as `knowledge/weights.json` for the knowledge that ships, so that a first start need
    not find them again; `scripts/train` writes it.
    """

    manifest: Manifest
    weights: dict[str, float]
    calibration: Calibration
    accuracy: dict[str, float] = {}
    reliability: Reliability | None = None


@dataclass(frozen=True)
class Fitted:
    """Models, weights by scorer name, calibration, and on systems it had not seen: how often each scorer that
    spoke was right (`accuracy`), and how reliable the whole was."""

    manifest: Manifest
    types: tuple[str, ...]
    tfidf: Terms
    embedding: Linear
    weights: dict[str, float]
    calibration: Calibration
    accuracy: dict[str, float]
    reliability: Reliability | None = None


def name_of(scorer: type[Any]) -> str:
    """`id@version` of a scorer class."""
    return f"{scorer.id}@{scorer.version}"


def manifest_for(cases: Sequence[Case], embedder_id: str) -> Manifest:
    """The manifest that a fit on these cases would have.

    Runbooks are no part of it: nothing is learned from them, and one that a site adds must not send it
    looking for weights again.
    """
    digest = hashlib.sha256()
    for case in sorted(cases, key=lambda case: case.id):
        digest.update(f"{case.id}\x1f{case.type}\x1f{case.text}\x1e".encode("utf-8", "replace"))
    return Manifest(
        version=VERSION,
        cases=digest.hexdigest()[:16],
        rows=len(cases),
        embedder=embedder_id,
        templates=templates.VERSION,
        sklearn=version("scikit-learn"),
        scorers=tuple(name_of(scorer) for scorer in _FITTED),
    )


def symptom_of(case: Case) -> Symptom:
    """A case as if it were a new incident."""
    return Symptom(message=case.text, system=case.system)


def fit(
    cases: Sequence[Case],
    vectors: Matrix,
    manifest: Manifest,
    runbook_votes: Votes,
    kept: Weights | None = None,
    *,
    learner: Callable[[Sequence[int]], tuple[Matrix, Votes]] | None = None,
    folds: int = 5,
) -> Fitted:
    """Learns everything from `cases`; `vectors` (n, width) are their excerpts' embeddings.

    `runbook_votes` gives a text's shares per type from the runbooks, which are not learned
    from cases. `kept` spares the folds when it was found for exactly this. `learner` gives both
    as they are when only some rows were learned from, for an encoder that was tuned on cases: without
    it a fold's rows would have been seen. Raises Invalid for fewer than two types.
    """
    texts = [TfidfLinear.read(symptom_of(case)) for case in cases]
    labels = [case.type for case in cases]
    types = tuple(sorted(set(labels)))
    if len(types) < 2:
        raise Invalid(f"there is nothing to learn from {len(cases)} cases of {len(types)} types")
    tfidf = TfidfLinear.fit(TfidfLinear.Params(), texts, labels)
    embedding = EmbeddingLinear.fit(EmbeddingLinear.Params(), vectors, labels)
    # With too few rows for folds, what the voices are worth on other knowledge is the best guess.
    usual = kept.weights if kept else {}
    weights = {name_of(scorer): usual.get(name_of(scorer), 0.5) for scorer in _FITTED}
    calibration, accuracy = Calibration(), dict(kept.accuracy) if kept else {}
    reliable = None
    if kept is not None and kept.manifest == manifest:
        weights, calibration, reliable = dict(kept.weights), kept.calibration, kept.reliability
    elif len(cases) >= 60 and min(labels.count(type_) for type_ in types) >= folds:
        learner = learner or (lambda train: (vectors, runbook_votes))
        held = _out_of_fold(cases, texts, labels, types, learner, folds)
        weights = _fit_weights(held, labels, types)
        calibration, reliable = _fit_calibration(held, labels, types, weights)
        accuracy = _accuracy(held, labels)
    log(__name__).info(
        "diagnosis.fitted", rows=len(cases), weights=weights, **calibration.model_dump(exclude={"rows"})
    )
    return Fitted(manifest, types, tfidf, embedding, weights, calibration, accuracy, reliable)


def _out_of_fold(
    cases: Sequence[Case],
    texts: Sequence[str],
    labels: Sequence[str],
    types: tuple[str, ...],
    learner: Callable[[Sequence[int]], tuple[Matrix, Votes]],
    folds: int,
) -> list[list[Finding]]:
    """The findings of each case by models that saw neither it nor its system."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    groups = [case.system or case.id for case in cases]
    if len(set(groups)) >= 3 * folds:
        splits = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(texts, labels, groups)
    else:
        splits = StratifiedKFold(folds, shuffle=True, random_state=0).split(texts, labels)
    params = NearestCases.Params()
    found: list[list[Finding]] = [[] for _ in cases]
    for train, test in splits:
        vectors, runbook_votes = learner(train)
        train_labels = [labels[row] for row in train]
        tfidf = TfidfLinear.fit(TfidfLinear.Params(), [texts[row] for row in train], train_labels)
        words = TfidfLinear.predict(TfidfLinear.Params(), tfidf, [texts[row] for row in test])
        linear = EmbeddingLinear.fit(EmbeddingLinear.Params(), vectors[train], train_labels)
        meaning = EmbeddingLinear.predict(linear, vectors[test])
        similarity = vectors[test] @ vectors[train].T
        for at, row in enumerate(test):
            near = np.argsort(-similarity[at], kind="stable")[: params.k]
            neighbours = [(train_labels[place], float(similarity[at, place])) for place in near]
            found[row] = [
                _finding(TfidfLinear, dict(zip(tfidf.linear.types, words[at], strict=True))),
                _finding(EmbeddingLinear, dict(zip(linear.types, meaning[at], strict=True))),
                _finding(NearestCases, NearestCases.vote(params, neighbours), neighbours[0][1]),
                _finding(RunbookSections, runbook_votes(excerpt(cases[row].text))),
            ]
    return found


def _accuracy(held: list[list[Finding]], labels: Sequence[str]) -> dict[str, float]:
    """Of the answers that each scorer gave, the share that was right."""
    found = {}
    for place, scorer in enumerate(_FITTED):
        spoken = [
            max(findings[place].scores, key=findings[place].scores.__getitem__) == label
            for findings, label in zip(held, labels, strict=True)
            if findings[place].contributes
        ]
        if spoken:
            found[name_of(scorer)] = round(sum(spoken) / len(spoken), 4)
    return found


def _finding(scorer: type[Any], scores: dict[str, float], nearest: float | None = None) -> Finding:
    evidence: tuple[Evidence, ...] = ()
    if nearest is not None:
        evidence = (Evidence(kind=EvidenceKind.CASE, ref="", quote="", weight=nearest),)
    return Finding.model_construct(
        scorer=name_of(scorer), scores=scores, contributes=bool(scores), hint="", evidence=evidence
    )


def _fit_weights(
    held: list[list[Finding]], labels: Sequence[str], types: tuple[str, ...]
) -> dict[str, float]:
    """The weights of the opinion pool that make the true types most likely."""
    from scipy.optimize import minimize

    names = [name_of(scorer) for scorer in _FITTED]
    logs = np.zeros((len(names), len(held), len(types)))
    for row, findings in enumerate(held):
        for place, finding in enumerate(findings):
            if finding.contributes:
                shares = np.array([finding.scores.get(type_, 0.0) for type_ in types])
                rest = max(0.0, 1.0 - float(shares.sum())) / len(types)
                logs[place, row] = np.log(np.maximum(shares + rest, FLOOR))
    truth = np.array([types.index(label) for label in labels])

    def loss(weights: Array) -> float:
        pooled = np.tensordot(weights, logs, axes=1)
        pooled -= pooled.max(axis=1, keepdims=True)
        chosen = pooled[np.arange(len(truth)), truth] - np.log(np.exp(pooled).sum(axis=1))
        return float(-chosen.mean() + 1e-3 * (weights**2).sum())

    best = minimize(loss, np.full(len(names), 0.5), bounds=[(0.0, 3.0)] * len(names), method="L-BFGS-B")
    return {name: round(float(weight), 4) for name, weight in zip(names, best.x, strict=True)}


def _fit_calibration(
    held: list[list[Finding]], labels: Sequence[str], types: tuple[str, ...], weights: dict[str, float]
) -> tuple[Calibration, Reliability | None]:
    from sklearn.linear_model import LogisticRegression

    rows, right = [], []
    pooled = [fuse(findings, weights, types) for findings in held]
    for fused, findings, label in zip(pooled, held, labels, strict=True):
        rows.append(features(fused, findings))
        right.append(max(fused, key=lambda type_: fused[type_]) == label)
    found = Calibration(rows=len(rows))
    if len(set(right)) > 1:
        model = LogisticRegression(C=10.0).fit(np.array(rows), right)
        slope, agreement, nearness = (round(float(value), 4) for value in model.coef_[0])
        found = Calibration(
            intercept=round(float(model.intercept_[0]), 4),
            slope=slope,
            agreement=agreement,
            nearness=nearness,
            rows=len(rows),
        )
    confidences = [calibrate(found, fused, findings) for fused, findings in zip(pooled, held, strict=True)]
    return found, reliability(confidences, right)


def read_weights(path: Path) -> Weights | None:
    """The weights that ship with the knowledge; None when there are none or they cannot be read."""
    if not path.exists():
        return None
    try:
        return Weights.model_validate_json(path.read_bytes())
    except ValidationError as error:
        log(__name__).warning("diagnosis.weights_refused", says=str(error))
        return None


class _Kept(Weights):
    """What is kept beside the arrays; `terms` and `words` are those of `Terms`."""

    types: tuple[str, ...]
    terms: tuple[str, ...]
    words: int


def keep(fitted: Fitted, folder: Path) -> None:
    """Writes the fitted value aside and moves it into place."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"diagnosis-{fitted.manifest.id}.npz"
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    tfidf, embedding = fitted.tfidf, fitted.embedding
    kept = _Kept(
        manifest=fitted.manifest,
        weights=fitted.weights,
        calibration=fitted.calibration,
        accuracy=fitted.accuracy,
        reliability=fitted.reliability,
        types=fitted.types,
        terms=tfidf.terms,
        words=tfidf.words,
    )
    with aside.open("wb") as file:
        np.savez(
            file,
            kept=np.frombuffer(kept.model_dump_json().encode(), np.uint8),
            rarity=tfidf.rarity,
            term_weights=tfidf.linear.weights,
            term_bias=tfidf.linear.bias,
            embedding_weights=embedding.weights,
            embedding_bias=embedding.bias,
        )
    aside.replace(path)
    for old in folder.glob("diagnosis-*"):
        if old != path and old.suffix != ".tmp":
            old.unlink()


def load(manifest: Manifest, folder: Path) -> Fitted | None:
    """The fitted value with exactly this manifest; None when there is none that fits."""
    path = folder / f"diagnosis-{manifest.id}.npz"
    if not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            kept = _Kept.model_validate_json(file["kept"].tobytes())
            terms = Linear(kept.types, file["term_weights"], file["term_bias"])
            tfidf = Terms(kept.terms, kept.words, file["rarity"], terms)
            embedding = Linear(kept.types, file["embedding_weights"], file["embedding_bias"])
    except Exception as error:  # a torn or foreign file is made again, not trusted
        log(__name__).warning("diagnosis.model_refused", says=str(error))
        return None
    if kept.manifest != manifest:
        return None
    return Fitted(
        manifest,
        kept.types,
        tfidf,
        embedding,
        kept.weights,
        kept.calibration,
        kept.accuracy,
        kept.reliability,
    )
