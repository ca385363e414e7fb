"""Rows of decisions and pauses. Both append-only."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class DecisionRow(SQLModel, table=True):
    """One decision; `body` is all of it as JSON, the other columns are what is asked for."""

    __tablename__ = "decision"
    __audited__ = True

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True)
    episode: int
    diagnosis_id: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    effect: str
    strategy: str
    body: str = Field(sa_column=Column(Text, nullable=False))


class PauseRow(SQLModel, table=True):
    """One pausing or resuming; the newest is in force."""

    __tablename__ = "pause"
    __audited__ = True

    # Counted by the database: after a clock jumped back, the last word must still be the last.
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    actor: str
    paused: bool
    reason: str = Field(sa_column=Column(Text, nullable=False))
