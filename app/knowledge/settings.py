"""Settings of this room."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from app.foundation.record import Record


class KnowledgeSettings(Record):
    """`folder` holds taxonomy.yaml, cases/, runbooks/, policy.yaml; None is what was shipped.

    `runbooks` is the folder of the site's own, on top of those; None is `runbooks` in the data folder.
    `repository` and `branch` are where `mendline runbook sync` brings them from, `token` the password for https.
    `embedder` hashing needs no model and knows no meaning: for tests.
    """

    folder: Path | None = None
    runbooks: Path | None = None
    repository: str = ""
    branch: str = "main"
    token: SecretStr = SecretStr("")
    embedder: Literal["minilm", "hashing"] = "minilm"
