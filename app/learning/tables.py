"""Rows of labels: what people said the type really is."""

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


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
