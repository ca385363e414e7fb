"""Rows of cases and of the embeddings that were computed once."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, LargeBinary, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class CaseRow(SQLModel, table=True):
    """Never deleted; `retired` hides one that was unlearned, or that the files no longer have.

    `number` grows with every row that is new or is replaced: the index knows a case by it, so that what
    it holds of a row that was replaced or retired finds nothing.
    """

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
    number: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))


class EmbeddingRow(SQLModel, table=True):
    """One vector of float32 bytes; `key` hashes the model's id and the text."""

    __tablename__ = "knowledge_embedding"

    key: str = Field(primary_key=True)
    vector: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
