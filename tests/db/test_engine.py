"""Both databases: SQLite in a file, and a real Postgres server."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import Session

from app.db.engine import Database, UtcDateTime, sqlite_url
from tests.db.conftest import METADATA, MOMENT

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
TIMES = st.datetimes(timezones=st.just(UTC))


def put(session: Session, number: int, at: datetime | None = NOW) -> None:
    session.connection().execute(MOMENT.insert().values(id=number, at=at))


def numbers(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.connection().execute(select(MOMENT.c.id).order_by(MOMENT.c.id)).scalars())


class TestUtcDateTime:
    @given(at=TIMES)
    def test_every_moment_comes_back_to_the_microsecond(self, at: datetime) -> None:
        kind, dialect = UtcDateTime(), sqlite.dialect()
        back = kind.process_result_value(kind.process_bind_param(at, dialect), dialect)
        assert back == at
        assert back is not None
        assert back.tzinfo is UTC

    @given(one=TIMES, other=TIMES)
    def test_what_is_stored_sorts_as_time_does(self, one: datetime, other: datetime) -> None:
        kind, dialect = UtcDateTime(), sqlite.dialect()
        first, second = (kind.process_bind_param(at, dialect) for at in (one, other))
        assert first is not None
        assert second is not None
        assert (first < second) == (one < other)

    @pytest.mark.parametrize(
        "at",
        [
            NOW,
            datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(1812, 6, 24, 1, 2, 3, 4, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            None,
        ],
        ids=str,
    )
    def test_the_database_gives_it_back(self, database: Database, at: datetime | None) -> None:
        with database.writing() as session:
            put(session, 1, at)
        with database.reading() as session:
            assert session.connection().execute(select(MOMENT.c.at)).scalar_one() == at

    def test_another_zone_comes_back_as_utc(self, database: Database) -> None:
        with database.writing() as session:
            put(session, 1, NOW.astimezone(timezone(timedelta(hours=-5, minutes=-30))))
        with database.reading() as session:
            found = session.connection().execute(select(MOMENT.c.at)).scalar_one()
        assert (found, found.tzinfo) == (NOW, UTC)

    def test_a_time_without_a_zone_is_refused(self, database: Database) -> None:
        with pytest.raises(StatementError, match="without a zone"), database.writing() as session:
            put(session, 1, datetime(2026, 11, 20, 12))  # noqa: DTZ001
        assert numbers(database) == []

    def test_it_is_compared_in_the_database(self, database: Database) -> None:
        with database.writing() as session:
            for number in range(4):
                put(session, number, NOW + timedelta(microseconds=number))
        with database.reading() as session:
            later = select(MOMENT.c.id).where(MOMENT.c.at > NOW + timedelta(microseconds=1))
            assert sorted(session.connection().execute(later).scalars()) == [2, 3]


class TestWriting:
    def test_it_commits(self, database: Database) -> None:
        with database.writing() as session:
            put(session, 1)
        assert numbers(database) == [1]

    def test_an_error_rolls_everything_back(self, database: Database) -> None:
        with pytest.raises(RuntimeError, match="midway"), database.writing() as session:
            put(session, 1)
            put(session, 2)
            raise RuntimeError("midway")
        assert numbers(database) == []

    def test_an_error_of_the_database_rolls_back_and_the_next_writer_goes_on(
        self, database: Database
    ) -> None:
        with pytest.raises(IntegrityError), database.writing() as session:
            put(session, 1)
            put(session, 1)
        with database.writing() as session:
            put(session, 2)
        assert numbers(database) == [2]

    def test_nobody_sees_it_before_it_is_committed(self, database: Database) -> None:
        with database.writing() as session:
            put(session, 1)
            assert numbers(database) == []
        assert numbers(database) == [1]

    def test_writers_from_many_threads_lose_nothing(self, database: Database) -> None:
        with database.writing() as session:
            put(session, 0)

        def count(times: int) -> None:
            for _ in range(times):
                with database.writing() as session:
                    if not database.is_sqlite:
                        session.connection().execute(text("LOCK TABLE test_db_moment"))
                    # Reading before writing is where a deferred transaction would fail with "locked".
                    top = session.connection().execute(select(func.max(MOMENT.c.id))).scalar_one()
                    put(session, top + 1)

        threads = [threading.Thread(target=count, args=(10,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert numbers(database) == list(range(41))

    def test_two_processes_worth_of_writers_queue_on_sqlite(self, tmp_path: Path) -> None:
        # Two `Database`s share no lock of ours, like two processes on one file.
        one, other = (Database(sqlite_url(tmp_path / "test.db")) for _ in range(2))
        METADATA.create_all(one.engine)
        inside, order = threading.Event(), []

        def second() -> None:
            inside.wait(5)
            with other.writing() as session:
                order.append("second")
                put(session, 2)

        thread = threading.Thread(target=second)
        thread.start()
        with one.writing() as session:
            inside.set()
            put(session, 1)
            thread.join(0.2)
            order.append("first")
        thread.join(30)
        assert order == ["first", "second"]
        assert numbers(one) == [1, 2]
        one.close()
        other.close()


class TestReading:
    def test_nothing_done_in_it_is_kept(self, database: Database) -> None:
        with database.reading() as session:
            put(session, 1)
        assert numbers(database) == []


class TestSqlite:
    def test_a_commit_survives_a_power_cut(self, tmp_path: Path) -> None:
        database = Database(sqlite_url(tmp_path / "test.db"))
        with database.engine.connect() as connection:
            settings = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert settings == ["wal", 2, 1]
        database.close()
