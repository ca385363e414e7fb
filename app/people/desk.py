"""The port of the desk: what a person may ask for, by whichever door they come."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from app.people.person import Person


class Desk(Protocol):
    """Each act raises NotAllowed for the wrong role, NotFound, Conflict with what to do instead, or Invalid.

    It is recorded with the person's name, and returns what was done in a sentence.
    """

    @property
    def types(self) -> Sequence[str]:
        """The types that a person may name."""
        ...

    def approve(self, person: Person, approval_id: str, plan_hash: str | None, reason: str = "") -> str:
        """Lets the plan run, if it is still the one with this hash."""
        ...

    def deny(
        self, person: Person, approval_id: str, plan_hash: str | None, reason: str = "", right_type: str = ""
    ) -> str:
        """Says no; with `right_type` the incident is diagnosed again with that as knowledge."""
        ...

    def other(
        self, person: Person, approval_id: str, plan_hash: str | None, strategy: str, reason: str = ""
    ) -> str:
        """Says no to this plan and has one with another strategy made, which goes through every gate."""
        ...

    def snooze(self, person: Person, approval_id: str, lasts: timedelta, reason: str = "") -> str:
        """Puts the question off: nobody is reminded until then."""
        ...

    def correct(self, person: Person, incident_id: str, right_type: str, reason: str = "") -> str:
        """Says what the incident really is; known from the next event on."""
        ...

    def undo(self, person: Person, remediation_id: str, reason: str = "") -> str:
        """Has an ended repair taken back."""
        ...
