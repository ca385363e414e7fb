"""The port of a grouper."""

from typing import ClassVar, Protocol

from app.intake.event import Event


class Grouper(Protocol):
    """One way of telling which events belong together."""

    id: ClassVar[str]

    def key(self, event: Event) -> tuple[str, ...] | None:
        """What must be equal for two events to meet; None when it cannot say."""
        ...

    def hint(self, event: Event) -> str:
        """The same in words, for the incident's page."""
        ...
