"""Rows of diagnoses, of the runbooks that they cite, and of what people said the type really is."""

from datetime import datetime

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class DiagnosisRow(SQLModel, table=True):
    """Append-only; `body` is the whole diagnosis as JSON."""

    __tablename__ = "diagnosis"
    __table_args__ = (Index("ix_diagnosis_incident_id_at", "incident_id", "at"),)

    id: str = Field(primary_key=True)
    incident_id: str
    episode: int
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    type: str
    confidence: float
    body: str = Field(sa_column=Column(Text, nullable=False))


class CitationRow(SQLModel, table=True):
    """One runbook that a diagnosis cites: as the most relevant one, or for the strategy that it recommends.

    `strategy` is the one that was weighed on its word; empty when none was.
    """

    __tablename__ = "citation"
    __table_args__ = (
        Index("ix_citation_runbook_at", "runbook", "at"),
        # How many incidents cite each is counted by it.
        Index("ix_citation_runbook_incident_id", "runbook", "incident_id"),
    )

    diagnosis_id: str = Field(primary_key=True)
    runbook: str = Field(primary_key=True)
    section: str
    strategy: str
    incident_id: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


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
