"""Settings of this room."""

from pathlib import Path

from app.foundation.record import Record


class SystemsSettings(Record):
    """`targets_file`: the register of targets; None is `targets.yaml` in the data folder."""

    targets_file: Path | None = None
