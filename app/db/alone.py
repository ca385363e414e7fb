"""Alone: work that only one process does at a time, until its transaction ends."""

from sqlalchemy import Connection, func, select
from sqlmodel import Session


def alone(where: Session | Connection, word: str) -> None:
    """Waits until no other transaction that gave this word is open, in any process.

    On SQLite nothing is to be waited for: whoever writes is alone.
    """
    connection = where.connection() if isinstance(where, Session) else where
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(word, 0))))
