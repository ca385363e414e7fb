"""Linear: a logistic regression as plain arrays, so that answering imports nothing that learning needs.

scikit-learn learns it; importing that takes as long as all else that a start does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.knowledge.embed import Matrix


@dataclass(frozen=True)
class Linear:
    """`weights` has a column per type, (features, types) float32; of two types only the second's."""

    types: tuple[str, ...]
    weights: Matrix
    bias: Matrix

    @classmethod
    def learn(cls, rows: Any, labels: Sequence[str], **how: Any) -> "Linear":
        """From `rows` (n, features), dense or sparse, in float32; `how` is for scikit-learn's LogisticRegression."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(class_weight="balanced", **how).fit(rows, labels)
        types = tuple(str(name) for name in model.classes_)
        return cls(types, np.ascontiguousarray(model.coef_.T), model.intercept_)

    def towards(self, place: int) -> Matrix:
        """What each feature weighs for the type at `place`."""
        return self.weights[:, 0] * (1 if place else -1) if len(self.types) == 2 else self.weights[:, place]

    def probabilities(self, products: Matrix) -> Matrix:
        """(n, types) from what is asked about times `weights`."""
        scores = products + self.bias
        if len(self.types) == 2:
            scores = np.hstack([np.zeros_like(scores), scores])
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: Matrix = scores / scores.sum(axis=1, keepdims=True)
        return shares
