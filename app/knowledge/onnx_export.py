"""Makes the ONNX int8 form of the packaged encoder: `python -m app.knowledge.onnx_export OUT`.

Exports the encoder with mean pooling and normalisation in the graph, quantises the weights
dynamically, and keeps the file only when it agrees with the original on texts of ours: the
nearest neighbour must be the same for at least 90 in 100, the mean cosine at least 0.94.
"""

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from app.knowledge.case import read_cases
from app.knowledge.embed import OnnxMiniLM, TorchMiniLM, check_weights
from app.knowledge.shipped import knowledge_folder

LEAST_COSINE = 0.94
LEAST_AGREEMENT = 0.90


def export(out: Path) -> tuple[float, float]:
    """Writes `out` and returns (mean cosine, neighbour agreement) to the original.

    Raises ValueError when the two do not agree; then nothing is written.
    """
    folder = check_weights()
    original = TorchMiniLM()
    with tempfile.TemporaryDirectory() as work:
        plain, small = Path(work, "plain.onnx"), Path(work, "small.onnx")
        _to_onnx(original, plain)
        _quantise(plain, small)
        cosine, agreement = _compare(original, OnnxMiniLM(small, folder / "tokenizer.json", threads=2))
        if cosine < LEAST_COSINE or agreement < LEAST_AGREEMENT:
            raise ValueError(f"int8 disagrees: cosine {cosine:.3f}, same neighbour {agreement:.2f}")
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = out.with_suffix(f".{os.getpid()}.tmp")
        aside.write_bytes(small.read_bytes())
        aside.replace(out)
    return cosine, agreement


def _to_onnx(original: TorchMiniLM, out: Path) -> None:
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self, encoder: torch.nn.Module) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=1)

    sample = torch.ones(2, 16, dtype=torch.long)
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        Pooled(original.encoder).eval(),
        (sample, sample),
        str(out),
        input_names=["input_ids", "attention_mask"],
        output_names=["embedding"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


def _quantise(plain: Path, small: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(plain), str(small), weight_type=QuantType.QInt8, per_channel=True)


def _compare(original: TorchMiniLM, small: OnnxMiniLM) -> tuple[float, float]:
    texts = [case.text[:600] for case in list(read_cases(knowledge_folder() / "cases"))[::8]][:200]
    if len(texts) < 20:
        texts = [f"{word} error in module {word}" for word in "abcdefghijklmnopqrstuvwxyz"]
    left, right = original.embed(texts), small.embed(texts)
    cosine = float((left * right).sum(1).mean())
    nearest = []
    for vectors in (left, right):
        similarity = vectors @ vectors.T
        np.fill_diagonal(similarity, -1)
        nearest.append(similarity)
    best = nearest[0].argmax(1)
    # Ties in the original are not disagreements: the int8 choice must be as near within 0.02.
    chosen = nearest[1].argmax(1)
    rows = np.arange(len(texts))
    agreement = float((nearest[0][rows, chosen] >= nearest[0][rows, best] - 0.02).mean())
    return cosine, agreement


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        print(  # noqa: T201
            "cosine {:.4f}, neighbour agreement {:.3f}".format(*export(Path(sys.argv[1])))
        )
    except ValueError as refusal:
        sys.exit(str(refusal))
