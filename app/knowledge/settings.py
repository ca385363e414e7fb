"""Settings of this room."""

from pathlib import Path
from typing import Literal

from app.foundation.record import Record


class KnowledgeSettings(Record):
    """`folder` holds taxonomy.yaml, cases/, runbooks/, policy.yaml; None is what was shipped.

    `embedder` hashing needs no model and knows no meaning: for tests.
    """

    folder: Path | None = None
    embedder: Literal["minilm", "hashing"] = "minilm"
