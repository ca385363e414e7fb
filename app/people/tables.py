"""Rows of what people are to be told, and of what stands of an incident in each channel."""

from datetime import datetime

from sqlalchemy import Column, Index, Text, text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class DeliveryRow(SQLModel, table=True):
    """One message to one channel, on its way until `ended_at` is set; `body` is the message as JSON."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "ix_delivery_under_way",
            "channel",
            "at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_delivery_incident_id", "incident_id"),
        Index(
            "ix_delivery_failed", "at", sqlite_where=text("says <> ''"), postgresql_where=text("says <> ''")
        ),
    )

    id: str = Field(primary_key=True)
    channel: str
    incident_id: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    next_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    attempts: int = 0
    ended_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    # Why it is not there yet, or never will be; empty once it is.
    says: str = Field(default="", sa_column=Column(Text, nullable=False))


class ThreadRow(SQLModel, table=True):
    """What a channel keeps of an incident: a message, an alert, a ticket. `stale`: changes not shown there yet."""

    __tablename__ = "thread"
    __table_args__ = (
        Index("ix_thread_stale", "stale", sqlite_where=text("stale > 0"), postgresql_where=text("stale > 0")),
    )

    incident_id: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    reference: str
    stale: int = 0
