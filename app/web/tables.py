"""Rows of API keys."""

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class ApiKeyRow(SQLModel, table=True):
    """The key itself is shown once and never stored; `hash` is SHA-256 of its 160 random bits."""

    __tablename__ = "api_key"
    __audited__ = True

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    role: str
    hash: str = Field(unique=True)
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
