"""TF-IDF linear classifier: which words and word parts weigh for which type.

Reads:  the excerpt as a template: word 1- and 2-grams (CamelCase also split), character 2- to
        5-grams inside words; sublinear term frequency.
Costs:  about a millisecond.
Weak:   words it never saw; new phrasings of known causes.
From:   multinomial logistic regression on TF-IDF (Salton and Buckley, 1988).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from app.diagnosis.diagnosis import Evidence, EvidenceKind, Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.linear import Linear
from app.diagnosis.scorer import named, shares, silent
from app.foundation.record import Record
from app.intake.normalise import normalise
from app.knowledge.embed import Matrix

Columns = npt.NDArray[np.int64]

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


def parts(text: str) -> list[str]:
    """Runs of 2 to 5 characters in lower case, each inside a word with a space before and behind it."""
    found: list[str] = []
    for word in text.lower().split():
        whole = f" {word} "
        for length in range(2, min(5, len(whole)) + 1):
            found += [whole[at : at + length] for at in range(len(whole) - length + 1)]
    return found


@dataclass(frozen=True)
class Terms:
    """What was learned: `terms` by column, of which the first `words` are `bigrams` and the others `parts`.

    `rarity` is each term's inverse document frequency, float32.
    """

    terms: tuple[str, ...]
    words: int
    rarity: Matrix
    linear: Linear

    @cached_property
    def _columns(self) -> tuple[dict[str, int], dict[str, int]]:
        """Of words and pairs, and of parts; a term may be both."""
        known = {term: column for column, term in enumerate(self.terms[: self.words])}
        return known, {term: column for column, term in enumerate(self.terms[self.words :], self.words)}

    def weigh(self, params: "TfidfLinear.Params", text: str) -> tuple[Columns, Matrix]:
        """The columns of the terms that a text has, in order, and what each weighs in it."""
        columns, weights = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        voices = zip(self._columns, (bigrams, parts), (params.word_weight, params.char_weight), strict=True)
        for known, read, share in voices:
            counts = sorted(Counter(known[term] for term in read(text) if term in known).items())
            if not counts:
                continue
            places = np.array([column for column, _ in counts])
            weight = np.log(np.array([count for _, count in counts], np.float32)) + 1
            weight *= self.rarity[places]
            length = np.sqrt(np.float64(sum((weight * weight).tolist())))
            columns.append(places)
            weights.append((weight / length).astype(np.float32) * share)
        return np.concatenate(columns), np.concatenate(weights)

    def products(self, columns: Columns, weights: Matrix) -> Matrix:
        """A row, as `Linear.probabilities` takes it."""
        row: Matrix = (self.linear.weights[columns] * weights[:, None]).sum(axis=0, keepdims=True)
        return row


class TfidfLinear:
    id: ClassVar[str] = "tfidf_linear"
    version: ClassVar[str] = "1"

    class Params(Record):
        c: float = 8.0
        word_weight: float = 1.0
        char_weight: float = 0.7
        seed: int = 0

    def __init__(self, params: "TfidfLinear.Params", model: Terms) -> None:
        self._params = params
        self._model = model

    @staticmethod
    def read(symptom: Symptom) -> str:
        """The text that is classified, one line per line of the excerpt."""
        return "\n".join(normalise(line) for line in excerpt(symptom.message, symptom.log).split("\n"))

    @staticmethod
    def fit(params: "TfidfLinear.Params", texts: Sequence[str], labels: Sequence[str]) -> Terms:
        """Learns from texts as `read` gives them; seconds for thousands of cases."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import FeatureUnion

        least = 2 if len(texts) > 500 else 1
        shared = {"sublinear_tf": True, "min_df": least, "dtype": np.float32}
        both = [
            TfidfVectorizer(analyzer=bigrams, **shared),
            TfidfVectorizer(analyzer=parts, max_features=60_000, **shared),
        ]
        union = FeatureUnion(
            list(zip(("words", "parts"), both, strict=True)),
            transformer_weights={"words": params.word_weight, "parts": params.char_weight},
        )
        rows = union.fit_transform(texts)
        linear = Linear.learn(rows, labels, C=params.c, max_iter=150, random_state=params.seed, tol=1e-3)
        names = [vectorizer.get_feature_names_out().tolist() for vectorizer in both]
        rarity = np.concatenate([vectorizer.idf_ for vectorizer in both])
        return Terms((*names[0], *names[1]), len(names[0]), rarity, linear)

    @staticmethod
    def predict(params: "TfidfLinear.Params", model: Terms, texts: Sequence[str]) -> Matrix:
        """Probabilities of shape (len(texts), len(model.linear.types))."""
        products = [model.products(*model.weigh(params, text)) for text in texts]
        return model.linear.probabilities(np.concatenate(products))

    def score(self, symptom: Symptom) -> Finding:
        text = self.read(symptom)
        columns, weights = self._model.weigh(self._params, text)
        if not len(columns):
            return silent(self, "it knows none of these words")
        linear = self._model.linear
        types, probabilities = linear.types, linear.probabilities(self._model.products(columns, weights))[0]
        best = int(probabilities.argmax())
        # The template is what is classified; what is quoted must stand in the message itself.
        evidence = self._weighed(
            columns,
            weights * linear.towards(best)[columns],
            excerpt(symptom.message, symptom.log),
            types[best],
        )
        shown = ", ".join(repr(item.quote) for item in evidence[:3]) or "many small parts"
        return Finding(
            scorer=named(self),
            scores=shares(dict(zip(types, probabilities.tolist(), strict=True))),
            contributes=True,
            hint=f"{types[best]} for {shown}",
            evidence=tuple(evidence),
        )

    def _weighed(self, columns: Columns, worth: Matrix, text: str, type_: str) -> list[Evidence]:
        """The words that weighed most for the best type; only those that stand in the text."""
        lowered = text.lower()
        # A few letters are longer in lower case, and then places differ: quoted from there.
        whole = text if len(text) == len(lowered) else lowered
        found: list[Evidence] = []
        known: list[str] = []
        for place in np.argsort(-worth):
            if worth[place] <= 0 or len(found) == 5:
                break
            if columns[place] >= self._model.words:
                continue
            spoken = self._model.terms[columns[place]]
            at = lowered.find(spoken)
            if at < 0 or any(spoken in seen or seen in spoken for seen in known):
                continue
            known.append(spoken)
            found.append(
                Evidence(
                    kind=EvidenceKind.WORDS,
                    ref=named(self),
                    quote=whole[at : at + len(spoken)],
                    weight=round(float(worth[place]), 4),
                    type=type_,
                )
            )
        return found
