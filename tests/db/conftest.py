"""The table that the tests of this room use, on SQLite in a file and on a real Postgres server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from app.db.engine import Database, UtcDateTime, sqlite_url

METADATA = MetaData()
MOMENT = Table(
    "test_db_moment",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=True),
)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "test.db")
    else:
        url = request.getfixturevalue("postgres_url")
    made = Database(url)
    METADATA.create_all(made.engine)
    yield made
    METADATA.drop_all(made.engine)
    made.close()
