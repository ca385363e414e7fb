"""Rows of diagnoses, and of what people said the type really is."""

from datetime import datetime

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class DiagnosisRow(SQLModel, table=True):
    """Append-only; `body` is the whole diagnosis as JSON."""

    __tablename__ = "diagnosis"
    __table_args__ = (
        Index("ix_diagnosis_incident_id_at", "incident_id", "at"),
        Index("ix_diagnosis_at", "at"),
    )

    id: str = Field(primary_key=True)
    incident_id: str
    episode: int
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    type: str
    confidence: float
    body: str = Field(sa_column=Column(Text, nullable=False))


class LabelRow(SQLModel, table=True):
    """Append-only; the newest label of an incident counts."""

    __tablename__ = "label"
    __audited__ = True

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True)
    type: str
    actor: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    reason: str
