"""Names that one process has at a time: who holds one is alive, and when it ends, however it ends, it is free.

On Postgres a name is an advisory lock of a session of its own, on SQLite a lock on a file: in both the
system frees it, so no clock, heartbeat or clean-up can be wrong about who is alive.
"""

import fcntl
from contextlib import suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

_KEY = "hashtextextended('mendline name ' || :name, 0)"


class Names:
    """Names on Postgres, held by this process. Not for many threads at once."""

    def __init__(self, url: str) -> None:
        """Connects when it is first asked; needs a session of its own, so no pooler in between that shares them."""
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._session: Connection | None = None
        self._held: set[str] = set()

    def take(self, name: str) -> bool:
        """Whether this process has the name now; False: another one has it, or the database does not answer."""
        try:
            if self._session is None:
                self._session = self._connect()
            if name in self._held:
                self._session.execute(text("SELECT 1"))
            elif self._session.scalar(text(f"SELECT pg_try_advisory_lock({_KEY})"), {"name": name}):
                self._held.add(name)
            return name in self._held
        except DBAPIError:
            self.close()
            return False

    def give_back(self, name: str) -> None:
        """Lets others have it."""
        if name in self._held and self._session is not None:
            self._held.discard(name)
            with suppress(DBAPIError):
                self._session.execute(text(f"SELECT pg_advisory_unlock({_KEY})"), {"name": name})

    def _connect(self) -> Connection:
        session = self._engine.connect()
        # A host that is gone says nothing: without these Postgres would believe in it for two hours.
        for setting, seconds in (("idle", 10), ("interval", 5), ("count", 3)):
            session.execute(text(f"SET tcp_keepalives_{setting} = {seconds}"))
        return session

    def close(self) -> None:
        """Gives all of them back."""
        self._held.clear()
        if self._session is not None:
            with suppress(DBAPIError):  # one that broke
                self._session.close()
            self._session = None


def lock_file(path: Path) -> IO[bytes] | None:
    """A lock on the file for as long as what is returned stays open; None when another process has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
