"""Queries on targets that were registered by API or command. Each takes a session and commits nothing."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from app.db import read
from app.systems.tables import TargetRow

_BODIES = select(TargetRow.key, TargetRow.body).order_by(col(TargetRow.key))


def bodies(session: Session) -> dict[str, Any]:
    """What was registered, by key, in the words of `targets.yaml`."""
    return {row.key: json.loads(row.body) for row in read.rows(session, _BODIES)}


def put(session: Session, key: str, body: Mapping[str, Any], *, actor: str, at: datetime) -> None:
    """Registers it, in the place of what was registered under this key."""
    row = TargetRow(key=key, body=json.dumps(body, default=str), actor=actor, at=at)
    session.merge(row)


def remove(session: Session, key: str) -> None:
    """Takes it out of the register; nothing happens when it is not there."""
    row = session.get(TargetRow, key)
    if row is not None:
        session.delete(row)
