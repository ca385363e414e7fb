"""Reading with statements that were built once.

To build a query anew at each call, and to have the session follow every object that comes of it, costs several
times what the database takes to answer. What is asked for in each repair is a statement of its module, with
`bindparam` for what is given, and comes as plain rows.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import Executable, Select, Table, bindparam, select
from sqlmodel import Session, SQLModel

R = TypeVar("R", bound=SQLModel)


def rows(session: Session, query: Executable, **given: Any) -> Sequence[Any]:
    """What the query finds, also of what this session has written."""
    if session.new or session.dirty or session.deleted:
        session.flush()
    return session.connection().execute(query, given).all()


def row(session: Session, kind: type[R], key: str, *, lock: bool = False) -> R | None:
    """The row with this key, to be read and not changed; None when there is none.

    `lock` keeps other transactions from changing it until this one ends.
    """
    found = rows(session, _by_key(kind, lock), key=key)
    return cast(R, found[0]) if found else None


@cache
def _by_key(kind: type[SQLModel], lock: bool) -> Select[Any]:
    table = table_of(kind)
    (key,) = table.primary_key.columns
    query = select(*table.c).where(key == bindparam("key"))
    return query.with_for_update() if lock else query


def table_of(kind: type[SQLModel]) -> Table:
    """The table of these rows."""
    table: Table = kind.__table__  # type: ignore[attr-defined]
    return table
