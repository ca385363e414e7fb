"""Rows of cases and of the embeddings that were computed once."""

from datetime import datetime

from sqlalchemy import Column, LargeBinary, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class CaseRow(SQLModel, table=True):
    """Append-only but for shipped cases, which follow the files; `retired` hides one that was unlearned."""

    __tablename__ = "knowledge_case"

    id: str = Field(primary_key=True)
    text: str = Field(sa_column=Column(Text, nullable=False))
    type: str = Field(index=True)
    system: str
    resolution: str
    strategy: str
    success: bool | None
    origin: str = Field(index=True)
    incident_id: str = Field(index=True)
    created_at: datetime | None = Field(sa_column=Column(UtcDateTime, nullable=True))
    retired: bool = False


class EmbeddingRow(SQLModel, table=True):
    """One vector of float32 bytes; `key` hashes the model's id and the text."""

    __tablename__ = "knowledge_embedding"

    key: str = Field(primary_key=True)
    vector: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
