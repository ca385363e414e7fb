"""Rows of decisions, pauses and modes. All append-only."""

from datetime import datetime

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class DecisionRow(SQLModel, table=True):
    """One decision; `body` is all of it as JSON, the other columns are what is asked for.

    `situation` is what the gates saw beside the plan and the diagnosis, as JSON, zlib, base64:
    with those two it can be decided again. None in rows of before it was kept.
    """

    __tablename__ = "decision"
    __audited__ = True
    __table_args__ = (Index("ix_decision_effect_at", "effect", "at"),)

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True)
    episode: int
    diagnosis_id: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    effect: str
    strategy: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    situation: str | None = Field(default=None, sa_column=Column(Text, nullable=True))


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


class ModeRow(SQLModel, table=True):
    """One setting of a mode; the newest of a strategy, type and environment counts. Empty is "any"."""

    __tablename__ = "mode"
    __audited__ = True

    # Counted by the database, as for pauses.
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    actor: str
    strategy: str
    type: str
    environment: str
    mode: str
    reason: str = Field(sa_column=Column(Text, nullable=False))
