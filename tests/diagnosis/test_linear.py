"""Answering without scikit-learn gives what scikit-learn would give, to the last bit."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion

from app.diagnosis.fit import symptom_of
from app.diagnosis.linear import Linear
from app.diagnosis.scorers.tfidf_linear import TfidfLinear, bigrams, parts
from tests.diagnosis import small

PARAMS = TfidfLinear.Params()
TEXTS = [TfidfLinear.read(symptom_of(case)) for case in small.cases()]
LABELS = [case.type for case in small.cases()]
ODD = [
    "",
    "zz",
    "a",
    "a b\t c \n\n d",
    "ÀÉ straße İ 4 ñandú",
    "quota " * 400,
    "\ud800 half",
    "日本語 timed out",
]


class TestTerms:
    @pytest.mark.parametrize("types", [2, 5])
    def test_they_answer_as_the_pipeline_that_learned_them(self, types: int) -> None:
        wanted = sorted(set(LABELS))[:types]
        texts = [text for text, label in zip(TEXTS, LABELS, strict=True) if label in wanted]
        labels = [label for label in LABELS if label in wanted]
        union = FeatureUnion(
            [
                ("words", TfidfVectorizer(analyzer=bigrams, sublinear_tf=True, dtype=np.float32)),
                (
                    "parts",
                    TfidfVectorizer(
                        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32
                    ),
                ),
            ],
            transformer_weights={"words": PARAMS.word_weight, "parts": PARAMS.char_weight},
        )
        learner = LogisticRegression(
            C=PARAMS.c, class_weight="balanced", max_iter=150, random_state=PARAMS.seed, tol=1e-3
        ).fit(union.fit_transform(texts), labels)
        model = TfidfLinear.fit(PARAMS, texts, labels)
        asked = [*TEXTS, *ODD]
        rows = union.transform(asked)
        for text, row in zip(asked, rows, strict=True):
            columns, weights = model.weigh(PARAMS, text)
            assert columns.tolist() == row.indices.tolist()
            assert weights.tolist() == row.data.tolist()
        found = TfidfLinear.predict(PARAMS, model, asked)
        assert model.linear.types == tuple(learner.classes_) == tuple(wanted)
        assert found == pytest.approx(learner.predict_proba(rows), abs=1e-6)

    @pytest.mark.parametrize("text", [*ODD, *TEXTS[:5]])
    def test_parts_of_words_are_those_of_the_library(self, text: str) -> None:
        library = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)).build_analyzer()
        assert parts(text) == library(text)


class TestLinear:
    @pytest.mark.parametrize("types", [2, 3, 5])
    def test_it_is_what_was_learned(self, types: int) -> None:
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(80, 6)).astype(np.float32)
        labels = [f"type_{n % types}" for n in range(80)]
        learner = LogisticRegression(class_weight="balanced", C=2.0).fit(rows, labels)
        found = Linear.learn(rows, labels, C=2.0)
        assert found.types == tuple(learner.classes_)
        assert found.probabilities(rows @ found.weights) == pytest.approx(
            learner.predict_proba(rows), abs=1e-6
        )

    def test_towards_a_type_is_away_from_the_other_of_two(self) -> None:
        rows = np.array([[1, 0], [0, 1]] * 4, dtype=np.float32)
        found = Linear.learn(rows, ["a", "b"] * 4)
        assert found.towards(0).tolist() == (-found.towards(1)).tolist()
        assert found.towards(0)[0] > 0 > found.towards(1)[0]
