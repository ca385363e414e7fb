"""Audit: a chain over what was decided, answered and done, so that a later edit shows.

A row class takes part by `__audited__ = True`. Every insert, change and removal of such a row through a
session of ours adds one entry in the same transaction: the row's digest, and a hash over that and the entry
before. Whoever changes, removes or adds a row by other ways breaks it; `verify` says where. The end of
the chain can still be cut off, or the whole be written anew, by somebody who may write to the
database: that shows against a head that was noted elsewhere. (Hash chain: Haber and Stornetta, 1991.)
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Engine, Integer, Table, Text, event, insert, inspect, select
from sqlmodel import Field, Session, SQLModel

from app.db.alone import alone
from app.foundation.record import Record

_CHUNK = 500
_START = "0" * 64


class AuditRow(SQLModel, table=True):
    """One entry. `digest` is SHA-256 of the row's `fields` as JSON, empty when it was removed; `hash` covers all above.

    The fields are named because a later version may give its rows more.
    """

    __tablename__ = "audit"

    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: str
    ref: str = Field(sa_column=Column(Text, nullable=False))
    fields: str = Field(sa_column=Column(Text, nullable=False))
    digest: str
    before: str
    hash: str


_TABLE: Table = AuditRow.__table__  # type: ignore[attr-defined]
_HEAD = select(_TABLE.c.seq, _TABLE.c.hash).order_by(_TABLE.c.seq.desc()).limit(1)
_INSERT = insert(_TABLE)


class Head(Record):
    """The newest entry; noted elsewhere as `seq:hash` it proves the chain up to it."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class AuditedSession(Session):
    """A session that chains what it writes of audited rows, in one go when it commits."""

    def __init__(self, engine: Engine, **options: Any) -> None:
        super().__init__(engine, **options)
        self.noted: list[dict[str, Any]] = []

    def commit(self) -> None:
        """Chains and commits."""
        self.flush()
        if self.noted:
            _append(self.connection(), self.noted)
            self.noted = []
        super().commit()


def _note(session: Session, _: Any) -> None:
    assert isinstance(session, AuditedSession)
    written = (*session.new, *(row for row in session.dirty if session.is_modified(row)))
    session.noted += [_entry(row) for row in written if _audited(type(row))]
    session.noted += [_entry(row) | {"digest": ""} for row in session.deleted if _audited(type(row))]


def inserted(session: Session, row: SQLModel) -> None:
    """Chains a row that was inserted by a statement of its own."""
    if isinstance(session, AuditedSession) and _audited(type(row)):
        session.noted.append(_entry(row))


def _entry(row: SQLModel) -> dict[str, Any]:
    """What an entry says of the row as it is now; its place in the chain is given when it is appended."""
    kind, fields = str(row.__tablename__), _fields(type(row))
    return {"kind": kind, "ref": _ref(row), "fields": fields, "digest": _digest(row, fields)}


def _append(connection: Connection, noted: Sequence[dict[str, Any]]) -> None:
    alone(connection, "audit")  # entries are chained one transaction after the other
    head = _head(connection)
    entries = []
    for one in noted:
        entry = {"seq": head.seq + 1, **one, "before": head.hash}
        head = Head(seq=head.seq + 1, hash=_hash(entry))
        entries.append({**entry, "hash": head.hash})
    connection.execute(_INSERT, entries)


event.listen(AuditedSession, "after_flush", _note)


def head(session: Session) -> Head:
    """The newest entry; `0:000…` before the first."""
    return _head(session.connection())


def entries(session: Session, after: int = 0, limit: int | None = None) -> Iterator[AuditRow]:
    """The entries behind `after` in order."""
    found = 0
    while True:
        most = _CHUNK if limit is None else min(_CHUNK, limit - found)
        rows = session.execute(
            select(_TABLE).where(_TABLE.c.seq > after).order_by(_TABLE.c.seq).limit(most)
        ).all()
        for row in rows:
            yield AuditRow(**row._mapping)
        found += len(rows)
        if len(rows) < _CHUNK or found == limit:
            return
        after = rows[-1].seq


def exported(session: Session, after: int = 0, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The entries behind `after`, each with its `row` as it is now; None for one that is gone."""
    kinds = {str(kind.__tablename__): kind for kind in audited()}
    for entry in entries(session, after, limit):
        kind = kinds.get(entry.kind)
        row = session.get(kind, _key(kind, entry.ref)) if kind else None
        yield {**entry.model_dump(), "row": None if row is None else as_json(row)}


def verify(session: Session, noted: Head | None = None) -> list[str]:
    """What is wrong, a sentence each; empty when nothing is. `noted` is a head that was kept elsewhere."""
    wrong: list[str] = []
    newest: dict[tuple[str, str], AuditRow] = {}
    seq, before = 0, _START
    seen = noted is None or noted == Head(seq=0, hash=_START)
    for entry in entries(session):
        if entry.seq != seq + 1:
            wrong.append(f"entries {seq + 1} to {entry.seq - 1} are missing")
        if entry.before != before:
            wrong.append(f"entry {entry.seq} does not follow the one before it")
        if entry.hash != _hash(entry.model_dump()):
            wrong.append(f"entry {entry.seq} was changed")
        newest[entry.kind, entry.ref] = entry
        seq, before = entry.seq, entry.hash
        seen = seen or noted == Head(seq=seq, hash=before)
    if not seen:
        wrong.append(f"the noted head {noted} is not in the chain: it was cut off or written anew")
    for kind in audited():
        wrong += _compare(session, kind, newest)
    wrong += [f"{kind} {ref} is gone" for (kind, ref), entry in newest.items() if entry.digest]
    return wrong


def _compare(
    session: Session, kind: type[SQLModel], newest: dict[tuple[str, str], AuditRow]
) -> Iterator[str]:
    """Takes out of `newest` what is as it was left."""
    name = str(kind.__tablename__)
    for row in session.scalars(select(kind).execution_options(yield_per=_CHUNK)):
        entry = newest.pop((name, _ref(row)), None)
        if entry is None or not entry.digest:
            yield f"{name} {_ref(row)} was added behind the chain's back"
        elif entry.digest != _digest(row, entry.fields):
            yield f"{name} {_ref(row)} was changed"


def audited() -> list[type[SQLModel]]:
    """The row classes that take part, of the modules that are imported, by name."""
    mapped = (mapper.class_ for mapper in SQLModel._sa_registry.mappers)
    return sorted(filter(_audited, mapped), key=lambda kind: str(kind.__tablename__))


def as_json(row: SQLModel) -> dict[str, Any]:
    """The row's columns by name; times in UTC, so that a row reads the same before and after it was stored."""
    values = {name: getattr(row, name) for name in _columns(type(row))}
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _audited(kind: type[object]) -> bool:
    return bool(getattr(kind, "__audited__", False))


@cache
def _columns(kind: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.key for column in inspect(kind).columns)


@cache
def _fields(kind: type[SQLModel]) -> str:
    return ",".join(sorted(_columns(kind)))


def _digest(row: SQLModel, fields: str) -> str:
    values = as_json(row)
    covered = {name: values.get(name) for name in fields.split(",")}
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _ref(row: SQLModel) -> str:
    return "/".join(str(part) for part in inspect(type(row)).primary_key_from_instance(row))


def _key(kind: type[SQLModel], ref: str) -> tuple[Any, ...]:
    columns = inspect(kind).primary_key
    return tuple(
        int(part) if isinstance(column.type, Integer) else part
        # The key of a target has slashes of its own.
        for column, part in zip(columns, ref.split("/", len(columns) - 1), strict=True)
    )


def _hash(entry: dict[str, Any]) -> str:
    covered = {name: entry[name] for name in ("seq", "kind", "ref", "fields", "digest", "before")}
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _head(connection: Connection) -> Head:
    row = connection.execute(_HEAD).first()
    return Head(seq=row.seq, hash=row.hash) if row else Head(seq=0, hash=_START)
