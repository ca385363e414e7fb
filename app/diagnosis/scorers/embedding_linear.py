"""Embedding classifier: where the meaning of the message lies among the types.

Reads:  the sentence embedding of the excerpt (384 float32, unit length).
Costs:  one embedding, shared with the retrieval scorers.
Weak:   exact codes and names, which an embedding blurs.
From:   multinomial logistic regression on frozen sentence embeddings (Reimers and Gurevych, 2019).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from app.diagnosis.diagnosis import Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.scorer import named, shares
from app.foundation.record import Record
from app.knowledge.embed import Matrix
from app.knowledge.retrieve import Retriever


class EmbeddingLinear:
    id: ClassVar[str] = "embedding_linear"
    version: ClassVar[str] = "1"

    class Params(Record):
        c: float = 20.0
        seed: int = 0

    def __init__(self, params: "EmbeddingLinear.Params", model: Any, retriever: Retriever) -> None:
        self._params = params
        self._classifier = model
        self._retriever = retriever

    @staticmethod
    def fit(params: "EmbeddingLinear.Params", vectors: Matrix, labels: Sequence[str]) -> Any:
        """Learns from unit vectors of shape (n, 384)."""
        from sklearn.linear_model import LogisticRegression

        classifier = LogisticRegression(
            C=params.c, class_weight="balanced", max_iter=300, random_state=params.seed
        )
        return classifier.fit(vectors, labels)

    @staticmethod
    def predict(model: Any, vectors: Matrix) -> tuple[list[str], npt.NDArray[np.float64]]:
        """(types, probabilities of shape (n, len(types)))."""
        return [str(name) for name in model.classes_], model.predict_proba(vectors)

    def score(self, symptom: Symptom) -> Finding:
        vector = self._retriever.embed(excerpt(symptom.message, symptom.log)).reshape(1, -1)
        types, probabilities = self.predict(self._classifier, vector)
        best = int(probabilities[0].argmax())
        return Finding(
            scorer=named(self),
            scores=shares(dict(zip(types, probabilities[0].tolist(), strict=True))),
            contributes=True,
            hint=f"in meaning it lies with {types[best]}",
        )
