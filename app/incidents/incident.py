"""The incident: what is wrong now with one target, told by one or many events."""

from datetime import datetime
from enum import StrEnum

from app.foundation.record import Record
from app.intake.event import Severity, Target


class State(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"


OPEN = frozenset({State.FIRING, State.ACKNOWLEDGED})


class Reason(Record):
    """One part of why events were grouped: which grouper, what it saw, whether it counted."""

    grouper: str
    contributes: bool
    hint: str


class Incident(Record):
    """`episode` counts from 1; `events` is how many were grouped, over all episodes."""

    id: str
    group_key: str
    state: State
    episode: int
    title: str
    message: str
    template: str
    severity: Severity
    target: Target
    source: str
    job_id: str
    run_id: str
    events: int
    first_seen: datetime
    last_seen: datetime
    why: tuple[Reason, ...]


class Transition(Record):
    """One change of state; `actor` is a person's key name or the part of Mendline that did it."""

    incident_id: str
    at: datetime
    actor: str
    before: State | None
    after: State
    reason: str
