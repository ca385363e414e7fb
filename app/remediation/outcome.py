"""The outcome: how a repair ended."""

from datetime import datetime
from enum import StrEnum

from app.foundation.record import Record


class Ended(StrEnum):
    """VERIFIED: the signal recovered and held. UNDONE: it did not help and everything is as before.
    STUCK: it did not help and could not be taken back wholly. HANDED_OVER: a person must do it,
    with everything as before, or with what `says` tells (a pull request that waits for a review).
    STOPPED: nothing was done (paused, denied, expired, changed plan, incident no longer open).
    """

    VERIFIED = "verified"
    UNDONE = "undone"
    STUCK = "stuck"
    HANDED_OVER = "handed_over"
    STOPPED = "stopped"


class ActionEnd(Record):
    """What became of one action of a playbook: verified, failed, skipped, or not reached.

    `undone` is the report of taking it back; empty while what it did stands, and when it did nothing.
    """

    number: int
    strategy: str
    target: str
    result: str
    says: str = ""
    undone: str = ""


class Outcome(Record):
    """One per remediation. `says` is the report for people, `undone` the report of the undoing.

    `actions` tells of each action of a playbook.
    """

    remediation_id: str
    incident_id: str
    strategy: str
    target: str
    ended: Ended
    at: datetime
    says: str
    undone: str = ""
    actions: tuple[ActionEnd, ...] = ()
