"""Rows of the assumptions behind the savings."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from app.db.engine import UtcDateTime


class SavingAssumptionRow(SQLModel, table=True):
    """One assumption that a person set; of each strategy and type, and of the cost, the newest counts.

    Either `minutes` for a strategy and a type (empty is "any"; without them it is taken back), or `hourly_cost`.
    """

    __tablename__ = "saving_assumption"
    __audited__ = True

    # Counted by the database, as for pauses.
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    actor: str
    strategy: str = ""
    type: str = ""
    minutes: float | None = None
    hourly_cost: float | None = None
    currency: str = ""
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
