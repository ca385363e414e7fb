"""Rows of events, incidents and their transitions."""

from datetime import datetime

from sqlalchemy import Column, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class EventRow(SQLModel, table=True):
    """Append-only; `body` is the report as JSON, without its log."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_incident_id_received_at", "incident_id", "received_at"),)

    id: str = Field(primary_key=True)
    incident_id: str | None
    received_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    source: str
    status: str
    body: str = Field(sa_column=Column(Text, nullable=False))


class EventLogRow(SQLModel, table=True):
    """An event's log, apart because it is large and seldom read; zlib-compressed UTF-8."""

    __tablename__ = "event_log"

    event_id: str = Field(primary_key=True)
    log: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class IncidentRow(SQLModel, table=True):
    """The one row that changes. `open_key` is the group key while open: one open incident a group.

    `type` is that of its newest diagnosis; `system`, `owner` and `environment` are the target's, to filter by.
    """

    __tablename__ = "incident"
    __table_args__ = (
        # The list's question with any filter is answered from this index alone, in its order.
        Index(
            "ix_incident_list",
            *("last_seen", "id", "state", "type", "severity", "system", "owner", "environment"),
        ),
        Index("ix_incident_state_last_seen_id", "state", "last_seen", "id"),
        # Without `last_seen`: each index that holds it is written at every event.
        Index("ix_incident_group_key", "group_key"),
        Index("ix_incident_target_key_state", "target_key", "state"),
        # The starter's question: which firing incidents has the pipeline not begun with?
        Index(
            "ix_incident_unhandled",
            "state",
            "id",
            sqlite_where=text("handled_episode < episode"),
            postgresql_where=text("handled_episode < episode"),
        ),
    )

    id: str = Field(primary_key=True)
    group_key: str
    open_key: str | None = Field(unique=True)
    state: str
    episode: int
    handled_episode: int = 0
    title: str
    message: str = Field(sa_column=Column(Text, nullable=False))
    template: str = Field(sa_column=Column(Text, nullable=False))
    severity: str
    target_key: str
    target: str = Field(sa_column=Column(Text, nullable=False))
    type: str = Field(default="", sa_column_kwargs={"server_default": ""})
    system: str = Field(default="", sa_column_kwargs={"server_default": ""})
    owner: str = Field(default="", sa_column_kwargs={"server_default": ""})
    environment: str = Field(default="", sa_column_kwargs={"server_default": ""})
    source: str
    job_id: str
    run_id: str
    events: int
    first_seen: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_seen: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    why: str = Field(sa_column=Column(Text, nullable=False))


class TransitionRow(SQLModel, table=True):
    """Append-only timeline of states."""

    __tablename__ = "incident_transition"

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True)
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    actor: str
    before: str | None
    after: str
    reason: str
