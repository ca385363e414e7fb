"""Rows of targets that were registered by API or command."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class TargetRow(SQLModel, table=True):
    """One target, as JSON in the words of `targets.yaml`; `actor` registered it last."""

    __tablename__ = "target"
    __audited__ = True

    key: str = Field(primary_key=True)
    body: str = Field(sa_column=Column(Text, nullable=False))
    actor: str
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
