"""Commanded: what strategies do by registered commands.

Each such act can be asked for twice under one key and happens once, so a lost answer is asked for again.
"""

from datetime import timedelta

from app.remediation.strategy import NeedsHuman, RetryLater
from app.systems import commands
from app.systems.connections import Command
from app.systems.far_side import FarSideError

SOON = timedelta(seconds=2)


def act(command: Command, **values: str) -> None:
    """Has it done. Raises RetryLater when asking again may help, NeedsHuman when it will not."""
    try:
        told = commands.run(command, **values)
    except FarSideError as error:
        if error.again:
            raise RetryLater(error.says, SOON) from error
        raise NeedsHuman(error.says) from error
    if not told.yes:
        raise NeedsHuman(f"{command.name} said no")
