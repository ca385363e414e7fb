"""The port of channels: one way of reaching people."""

from typing import Protocol, runtime_checkable

from app.foundation.errors import MendlineError
from app.foundation.record import Record
from app.people.message import EVERY_KIND, Card, Kind, Message


class ChannelParams(Record):
    """What every entry under `channels:` may say. `kinds`: what is told there; of what stands there
    already, all news is.
    """

    kinds: tuple[Kind, ...] = EVERY_KIND


class NotDelivered(MendlineError):
    """The far side did not take it. With `again`, a later try may help, not before `after` seconds.

    `says` goes to logs and pages: it never holds an address or a token. `status`: the HTTP one, 0 without any.
    """

    code = "not_delivered"

    def __init__(self, says: str, *, again: bool, after: float = 0, status: int = 0) -> None:
        super().__init__(says)
        self.again, self.after, self.status = again, after, status  # type: ignore[misc]


class Channel(Protocol):
    """One registered channel. Calls come one at a time, in order, from a thread that may wait."""

    def deliver(self, message: Message, card: Card | None, reference: str) -> str:
        """Tells it, and returns what the far side calls the incident's thread, ticket or alert; empty: nothing.

        `reference` is what an earlier call returned for this incident, empty at first. Delivering the same
        message again (a crash came between) should show it once where the far side lets that be. `card` is
        None when the incident is gone. Raises NotDelivered.
        """
        ...

    def refresh(self, card: Card, reference: str) -> None:
        """Brings what stands there up to date with the card; often there is nothing to do. Raises NotDelivered."""
        ...

    def close(self) -> None:
        """Lets go of connections."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A channel that can be asked whether it would take a message, without telling anybody."""

    def check(self) -> str:
        """What it is, in words without an address. Raises NotDelivered."""
        ...
