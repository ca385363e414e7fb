"""Embedding classifier: where the meaning of the message lies among the types.

Reads:  the sentence embedding of the excerpt (384 float32, unit length).
Costs:  one embedding, shared with the retrieval scorers.
Weak:   exact codes and names, which an embedding blurs.
From:   multinomial logistic regression on frozen sentence embeddings (Reimers and Gurevych, 2019).
"""

from collections.abc import Sequence
from typing import ClassVar

from app.diagnosis.diagnosis import Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.linear import Linear
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

    def __init__(self, params: "EmbeddingLinear.Params", model: Linear, retriever: Retriever) -> None:
        self._params = params
        self._model = model
        self._retriever = retriever

    @staticmethod
    def fit(params: "EmbeddingLinear.Params", vectors: Matrix, labels: Sequence[str]) -> Linear:
        """Learns from unit vectors of shape (n, 384)."""
        return Linear.learn(vectors, labels, C=params.c, max_iter=300, random_state=params.seed)

    @staticmethod
    def predict(model: Linear, vectors: Matrix) -> Matrix:
        """Probabilities of shape (n, len(model.types))."""
        return model.probabilities(vectors @ model.weights)

    def score(self, symptom: Symptom) -> Finding:
        vector = self._retriever.embed(excerpt(symptom.message, symptom.log)).reshape(1, -1)
        types, probabilities = self._model.types, self.predict(self._model, vector)[0]
        best = int(probabilities.argmax())
        return Finding(
            scorer=named(self),
            scores=shares(dict(zip(types, probabilities.tolist(), strict=True))),
            contributes=True,
            hint=f"in meaning it lies with {types[best]}",
        )
