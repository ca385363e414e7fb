"""TF-IDF linear classifier: which words and word parts weigh for which type.

Reads:  the excerpt as a template: word 1- and 2-grams (CamelCase also split), character 2- to
        5-grams inside words; sublinear term frequency.
Costs:  about a millisecond.
Weak:   words it never saw; new phrasings of known causes.
From:   multinomial logistic regression on TF-IDF (Salton and Buckley, 1988).
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from app.diagnosis.diagnosis import Evidence, EvidenceKind, Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.scorer import named, shares, silent
from app.foundation.record import Record
from app.intake.normalise import normalise

_TOKEN = re.compile(r"[^\W\d_]\w*|[45]\d\d\b|<\w+>")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def words(text: str) -> list[str]:
    """Lower-case tokens; identifiers are also given in parts (`OutOfMemoryError`: out, of, memory, error)."""
    found: list[str] = []
    for token in _TOKEN.findall(text):
        found.append(token.lower())
        parts = _CAMEL.findall(token)
        if len(parts) > 1:
            found += [part.lower() for part in parts]
    return found


def bigrams(text: str) -> list[str]:
    """Words and pairs of neighbouring words."""
    single = words(text)
    return single + [f"{left} {right}" for left, right in pairwise(single)]


class TfidfLinear:
    id: ClassVar[str] = "tfidf_linear"
    version: ClassVar[str] = "1"

    class Params(Record):
        c: float = 8.0
        word_weight: float = 1.0
        char_weight: float = 0.7
        seed: int = 0

    def __init__(self, params: "TfidfLinear.Params", model: Any) -> None:
        """`model` is what `fit` returned: the vectorizer and the classifier."""
        self._params = params
        self._vectorizer, self._classifier = model
        self._names = self._vectorizer.get_feature_names_out()

    @staticmethod
    def read(symptom: Symptom) -> str:
        """The text that is classified, one line per line of the excerpt."""
        return "\n".join(normalise(line) for line in excerpt(symptom.message, symptom.log).split("\n"))

    @staticmethod
    def fit(params: "TfidfLinear.Params", texts: Sequence[str], labels: Sequence[str]) -> Any:
        """Learns from texts as `read` gives them; seconds for thousands of cases."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import FeatureUnion

        least = 2 if len(texts) > 500 else 1
        vectorizer = FeatureUnion(
            [
                (
                    "words",
                    TfidfVectorizer(analyzer=bigrams, sublinear_tf=True, min_df=least, dtype=np.float32),
                ),
                (
                    "parts",
                    TfidfVectorizer(
                        analyzer="char_wb",
                        ngram_range=(2, 5),
                        sublinear_tf=True,
                        min_df=least,
                        max_features=60_000,
                        dtype=np.float32,
                    ),
                ),
            ],
            transformer_weights={"words": params.word_weight, "parts": params.char_weight},
        )
        matrix = vectorizer.fit_transform(texts)
        classifier = LogisticRegression(
            C=params.c, class_weight="balanced", max_iter=150, random_state=params.seed, tol=1e-3
        )
        classifier.fit(matrix, labels)
        return vectorizer, classifier

    @staticmethod
    def predict(model: Any, texts: Sequence[str]) -> tuple[list[str], npt.NDArray[np.float64]]:
        """(types, probabilities of shape (len(texts), len(types)))."""
        vectorizer, classifier = model
        return [str(name) for name in classifier.classes_], classifier.predict_proba(
            vectorizer.transform(texts)
        )

    def score(self, symptom: Symptom) -> Finding:
        text = self.read(symptom)
        row = self._vectorizer.transform([text])
        if row.nnz == 0:
            return silent(self, "it knows none of these words")
        types = [str(name) for name in self._classifier.classes_]
        probabilities = self._classifier.predict_proba(row)[0]
        best = int(probabilities.argmax())
        # The template is what is classified; what is quoted must stand in the message itself.
        evidence = self._weighed(row, excerpt(symptom.message, symptom.log), best, types[best])
        shown = ", ".join(repr(item.quote) for item in evidence[:3]) or "many small parts"
        return Finding(
            scorer=named(self),
            scores=shares(dict(zip(types, probabilities.tolist(), strict=True))),
            contributes=True,
            hint=f"{types[best]} for {shown}",
            evidence=tuple(evidence),
        )

    def _weighed(self, row: Any, text: str, best: int, type_: str) -> list[Evidence]:
        """The words that weighed most for the best type; only those that stand in the text."""
        coefficients = self._classifier.coef_
        # Two classes are stored as one row: positive is the second class.
        weights = coefficients[best] if len(coefficients) > 1 else coefficients[0] * (1 if best else -1)
        lowered = text.lower()
        # A few letters are longer in lower case, and then places differ: quoted from there.
        whole = text if len(text) == len(lowered) else lowered
        found: list[Evidence] = []
        known: list[str] = []
        parts = row.data * weights[row.indices]
        for place in np.argsort(-parts):
            if parts[place] <= 0 or len(found) == 5:
                break
            name = str(self._names[row.indices[place]])
            if not name.startswith("words__"):
                continue
            spoken = name.removeprefix("words__")
            at = lowered.find(spoken)
            if at < 0 or any(spoken in seen or seen in spoken for seen in known):
                continue
            known.append(spoken)
            found.append(
                Evidence(
                    kind=EvidenceKind.WORDS,
                    ref=named(self),
                    quote=whole[at : at + len(spoken)],
                    weight=round(float(parts[place]), 4),
                    type=type_,
                )
            )
        return found
