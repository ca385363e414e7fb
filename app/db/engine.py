"""Engines for SQLite and Postgres with the settings that durability needs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Dialect, Engine, MetaData, create_engine, event
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session, SQLModel

from app.db.audit import AuditedSession

SQLModel.metadata.naming_convention = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
).naming_convention

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out, stored as whole microseconds since 1970.

    SQLite has no time type and loses zones; an integer sorts, compares and costs the same
    on both databases.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(int(value))


def to_micros(at: datetime) -> int:
    """Whole microseconds since 1970; raises ValueError without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone reached the database")
    delta = at - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(micros: int) -> datetime:
    """The time that `to_micros` made a number of, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def sqlite_url(path: Path) -> str:
    """The address of a SQLite file."""
    return f"sqlite:///{path}"


class Database:
    """An engine and its two kinds of session."""

    def __init__(self, url: str) -> None:
        """Opens nothing yet; `url` is `sqlite:///file` or `postgresql+psycopg://…`."""
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._write_lock = threading.Lock()
        if self.is_sqlite:
            self.engine: Engine = create_engine(
                url,
                pool_size=16,
                max_overflow=16,
                # The one that was used last has its pages in memory; by turns, all of them would.
                pool_use_lifo=True,
                connect_args={"check_same_thread": False, "timeout": 30},
            )
            event.listen(self.engine, "connect", _prepare_sqlite)
        else:
            self.engine = create_engine(url, pool_size=10, max_overflow=10, pool_pre_ping=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for queries; nothing done in it is kept."""
        with Session(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                # Outside of a transaction SQLite keeps every statement at once.
                session.connection().exec_driver_sql("BEGIN")
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits when the block ends well and rolls back when it raises."""
        with self._turn(), AuditedSession(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                # Taking the write lock at the start avoids the upgrade that fails with "locked".
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session
            session.commit()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self.is_sqlite:
            with self._write_lock:
                yield
        else:
            yield

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # We say BEGIN ourselves; the driver's own would start a deferred transaction.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit that was answered 202 survives a power cut, not only a crash.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA cache_size=-16000")
    # 40 MB instead of 4: under load every third commit would wait for the log to be copied.
    cursor.execute("PRAGMA wal_autocheckpoint=10000")
    cursor.close()
