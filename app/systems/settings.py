"""Settings of this room."""

from pathlib import Path

from app.foundation.record import Record


class SystemsSettings(Record):
    """`targets_file`: the register of targets; None is `targets.yaml` in the data folder.

    `commands`: the programs that a target registered by API may run. Without them a stolen key of an
    administrator could run anything; the file and the command line name programs freely.
    """

    targets_file: Path | None = None
    commands: tuple[str, ...] = ()
