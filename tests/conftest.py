"""Fixtures that more than one room's tests use."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from app.db.engine import Database, sqlite_url
from app.tables import metadata
from scripts.benches._postgres import postgres
from tests.doubles import JobServer, Service


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Our tables, empty, in a SQLite file."""
    made = Database(sqlite_url(tmp_path / "test.db"))
    metadata.create_all(made.engine)
    yield made
    made.close()


@pytest.fixture
def jobs() -> Iterator[JobServer]:
    """A job system on a loopback port."""
    with JobServer().running() as server:
        yield server


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not running yet; ended afterwards."""
    folder = tmp_path / "service"
    folder.mkdir()
    service = Service(folder)
    yield service
    service.end()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real Postgres server, started once; tests make tables of their own names in it."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Our tables, empty, on SQLite and on a database of its own in Postgres."""
    if request.param == "sqlite":
        yield request.getfixturevalue("database")
        return
    server, name = request.getfixturevalue("postgres_url"), f"test_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made = Database(server.replace("/postgres?", f"/{name}?"))
    metadata.create_all(made.engine)
    yield made
    made.close()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    admin.dispose()
