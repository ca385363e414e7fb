"""The event: one thing that went wrong, or right again, somewhere."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from app.foundation.record import Record

LOG_LIMIT = 1024 * 1024

Name = Annotated[str, StringConstraints(max_length=500)]
Label = Annotated[str, StringConstraints(max_length=2000)]


class Severity(StrEnum):
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Status(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


class Target(Record):
    """What failed and would be acted on: `name` of `kind` in `system`, in one `environment`."""

    system: Name = ""
    kind: Name = ""
    name: Name = ""
    environment: Name = ""
    owner: Name = ""
    url: Label = ""

    @property
    def key(self) -> str:
        """The identity: two targets are the same when their keys are. Empty when nothing was named."""
        if not (self.system or self.kind or self.name):
            return ""
        key = f"{self.system}/{self.kind}/{self.name}"
        return f"{key}@{self.environment}" if self.environment else key


class Report(Record):
    """What a source says happened, in the fields that every source can fill."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=LOG_LIMIT)]
    title: Label = ""
    severity: Severity = Severity.ERROR
    target: Target = Target()
    source: Name = ""
    job_id: Name = ""
    run_id: Name = ""
    log: Annotated[str, StringConstraints(max_length=LOG_LIMIT)] = ""
    log_url: Label = ""
    occurred_at: AwareDatetime | None = None
    status: Status = Status.FIRING
    delivery_key: Name = ""
    fingerprint: Name = ""
    labels: dict[Name, Label] = Field(default_factory=dict, max_length=100)
    attributes: dict[Name, Any] = Field(default_factory=dict, max_length=100)


class Event(Record):
    """A report as it was stored: redacted, with its template, its id and when we got it.

    `id` is derived from source and delivery key where there is one, so a redelivery is the
    same event. `came_with` is the W3C `traceparent` of its request, where traces want it; it is not kept.
    """

    id: str
    received_at: datetime
    source: str
    template: str
    report: Report
    came_with: str = Field("", exclude=True)


class Accepted(Record):
    """What became of one event once it was durable; `incident_id` is None for an unmatched recovery."""

    event_id: str
    incident_id: str | None
    duplicate: bool
