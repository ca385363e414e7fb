"""Security: who asks, and what their role may do. Fails closed."""

import base64
import hashlib
import os
import secrets
import threading
import time
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.db.engine import Database
from app.foundation.errors import Busy, Conflict, NotFound, NotSignedIn
from app.foundation.ids import new_id
from app.people.person import Person, Role
from app.web.tables import ApiKeyRow

_PREFIX = "mend_"


def hash_of(key: str) -> str:
    """What is stored of a key. A slow hash would add nothing: the key has 160 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def create_key(session: Session, name: str, role: Role, at: datetime) -> str:
    """Makes a key and returns it, the only time that it can be seen; raises Conflict on a known name."""
    key = _PREFIX + base64.b32encode(os.urandom(20)).decode().lower()
    session.add(ApiKeyRow(id=new_id("key", at), name=name, role=role.value, hash=hash_of(key), created_at=at))
    try:
        session.flush()
    except IntegrityError:
        raise Conflict(f"there is a key named {name!r} already; choose another name or revoke it") from None
    return key


def revoke_key(session: Session, name: str, at: datetime) -> None:
    """The key stops working within two seconds everywhere; raises NotFound."""
    row = session.exec(select(ApiKeyRow).where(ApiKeyRow.name == name)).first()
    if row is None:
        raise NotFound(f"there is no key named {name!r}")
    row.revoked_at = row.revoked_at or at
    session.add(row)


def keys(session: Session) -> list[ApiKeyRow]:
    """All keys, oldest first; the rows hold no secret."""
    return list(session.exec(select(ApiKeyRow).order_by(col(ApiKeyRow.created_at))).all())


class Keyring:
    """Recognises keys; remembers for two seconds, so that ingestion does not ask the database each time."""

    _REMEMBER = 2.0

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Person | None]] = {}
        self._lock = threading.Lock()

    def person(self, key: str) -> Person:
        """Who holds `key`; raises NotSignedIn for none, an unknown or a revoked one."""
        if not key:
            raise NotSignedIn("give an API key: `Authorization: Bearer mend_…`")
        hashed = hash_of(key)
        now = time.monotonic()
        known = self._known.get(hashed)
        if known is None or known[0] < now:
            with self._database.reading() as session:
                row = session.exec(select(ApiKeyRow).where(ApiKeyRow.hash == hashed)).first()
            person = None
            if row is not None and row.revoked_at is None:
                person = Person(key_id=row.id, name=row.name, role=Role(row.role))
            with self._lock:
                if len(self._known) > 10_000:
                    self._known.clear()
                known = self._known[hashed] = (now + self._REMEMBER, person)
        if known[1] is None:
            raise NotSignedIn("this API key is not known or was revoked")
        return known[1]

    def by_id(self, key_id: str) -> Person:
        """The holder of a signed-in session; raises NotSignedIn once the key is revoked."""
        with self._database.reading() as session:
            row = session.get(ApiKeyRow, key_id)
        if row is None or row.revoked_at is not None:
            raise NotSignedIn("sign in again")
        return Person(key_id=row.id, name=row.name, role=Role(row.role))


class RateLimit:
    """A token bucket per key: `rate` events a second, bursts of twice that. (Turner, 1986.)"""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str, events: int) -> None:
        """Takes `events` tokens; raises Busy with the seconds until there are enough. 0 means no limit."""
        if not self._rate:
            return
        now = time.monotonic()
        left, at = self._buckets.get(key_id, (2 * self._rate, now))
        left = min(2 * self._rate, left + (now - at) * self._rate)
        if left < events and left < 2 * self._rate:
            self._buckets[key_id] = (left, now)
            raise Busy(
                f"more than {self._rate:g} events a second by this key",
                retry_after=(events - left) / self._rate,
            )
        self._buckets[key_id] = (left - events, now)


def session_secret(given: SecretStr, data_dir: Path) -> str:
    """Signs the pages' sessions; made once and kept for its owner alone."""
    if given.get_secret_value():
        return given.get_secret_value()
    path = data_dir / "session.secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path.read_text().strip()
