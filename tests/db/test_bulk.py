"""Bulk: many rows in one statement, on both databases, whatever their number."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from app.db.bulk import chunks, insert_rows, marks
from app.db.engine import Database
from tests.db.conftest import MOMENT

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def stored(database: Database) -> list[tuple[int, datetime | None]]:
    with database.reading() as session:
        rows = session.connection().execute(select(MOMENT.c.id, MOMENT.c.at).order_by(MOMENT.c.id))
        return [(row.id, row.at) for row in rows]


@pytest.mark.parametrize("count", [0, 1, 2, 20_000])
def test_any_number_of_rows_comes_back_as_it_went_in(database: Database, count: int) -> None:
    rows = [{"id": number, "at": NOW if number % 2 else None} for number in range(count)]
    with database.writing() as session:
        insert_rows(session.connection(), MOMENT, rows)
    assert stored(database) == [(row["id"], row["at"]) for row in rows]


def test_one_row_that_is_there_already_fails_them_all(database: Database) -> None:
    with database.writing() as session:
        insert_rows(session.connection(), MOMENT, [{"id": 2, "at": NOW}])
    with pytest.raises(IntegrityError), database.writing() as session:
        insert_rows(session.connection(), MOMENT, [{"id": number, "at": NOW} for number in (1, 2, 3)])
    assert stored(database) == [(2, NOW)]


def test_a_time_without_a_zone_is_refused_like_everywhere(database: Database) -> None:
    with pytest.raises((ValueError, StatementError), match="zone"), database.writing() as session:
        insert_rows(session.connection(), MOMENT, [{"id": 1, "at": NOW.replace(tzinfo=None)}])
    assert stored(database) == []


def test_marks_are_those_of_the_database(database: Database) -> None:
    mark = "?" if database.is_sqlite else "%s"
    with database.reading() as session:
        assert marks(session.connection(), 2) == f"{mark}, {mark}"
        assert marks(session.connection(), 2, 2) == f"({mark}, {mark}), ({mark}, {mark})"


def test_chunks_hold_what_one_statement_takes() -> None:
    sizes = [len(chunk) for chunk in chunks(range(25_001), 3)]
    assert sum(sizes) == 25_001
    assert max(sizes) * 3 <= 32_766
    assert list(chunks([])) == []
