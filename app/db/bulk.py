"""Rows by one plain statement: many at once, or one of which the first stands.

SQLAlchemy builds such a statement row by row, which costs more than SQLite takes to run it, and a
driver that is given the rows one by one lets go of the interpreter's lock at each: beside a busy
event loop every one of them waits milliseconds to get it back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlmodel import Session, SQLModel

from app.db import audit

T = TypeVar("T")

_MOST_MARKS = 30_000  # SQLite takes 32,766 in a statement, Postgres 65,535


def chunks(items: Iterable[T], width: int = 1) -> Iterator[list[T]]:
    """`items` in lists that one statement takes, when each needs `width` marks."""
    left = iter(items)
    while chunk := list(islice(left, _MOST_MARKS // width)):
        yield chunk


def marks(connection: Connection, count: int, width: int = 0) -> str:
    """`count` marks for parameters: `?, ?`, or with a width rows of them: `(?, ?), (?, ?)`."""
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    if width:
        mark = f"({', '.join([mark] * width)})"
    return ", ".join([mark] * count)


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, new_only: bool = False
) -> int:
    """Inserts `rows`, which all have the same columns, and returns how many went in; with `new_only`, those whose
    key is there stay as they are."""
    if not rows:
        return 0
    names = list(rows[0])
    # What a column does to a value on its way in, for those that do anything.
    into = {
        name: process for name in names if (process := table.c[name].type.bind_processor(connection.dialect))
    }
    head = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "
    tail = " ON CONFLICT DO NOTHING" if new_only else ""
    done = 0
    for chunk in chunks(rows, len(names)):
        given = [into[name](row[name]) if name in into else row[name] for row in chunk for name in names]
        done += connection.exec_driver_sql(
            head + marks(connection, len(chunk), len(names)) + tail, tuple(given)
        ).rowcount
    return done


def add_once(session: Session, row: SQLModel) -> None:
    """Adds the row; the first with its key stands, also when another process writes it in this very moment."""
    table: Table = row.__table__  # type: ignore[attr-defined]
    if insert_rows(session.connection(), table, [row.model_dump()], new_only=True):
        audit.inserted(session, row)
