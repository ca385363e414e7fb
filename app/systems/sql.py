"""One table of a SQLite or Postgres database: which rows repeat, taking them out, putting them back.

Its columns are compared and changed in `columns.py`.

Rows travel without loss: from SQLite as the driver's own values, from Postgres as the text form
that every type of it has. Names come from reflection and are quoted by SQLAlchemy. Changes
happen in one transaction that holds the table's write lock, and only if the rows are still those
that were backed up.
"""

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, NullPool, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql import Insert

from app.foundation.record import Record
from app.systems.connections import SqlTable
from app.systems.far_side import FarSideError

Keep = Literal["first", "last"]
MOST_ROWS = 100_000  # rows that one repair takes out; more is a migration, not a repair
STATEMENT_SECONDS = 120
LOCK_SECONDS = 5
_CHUNK = 200
_MASTER = sa.table("sqlite_master", *map(sa.column, ("type", "tbl_name", "name", "sql")))
_ON_DELETE = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}  # pg_constraint.confdeltype
_NTH, _SIZE = "mendline nth", "mendline size"  # no column is called so
# Text forms depend on these; with them fixed, out and in are each other's inverse.
_POSTGRES = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": f"{LOCK_SECONDS}s",
}


class Row(Record):
    """One row without loss: cells in the table's column order; `rowid` only where SQLite has one."""

    cells: tuple[Any, ...]
    rowid: int | None = None


class Repeats(Record):
    """Rows of the table, groups that share a key, and the rows to take out, in a stable order."""

    total: int
    groups: int
    rows: tuple[Row, ...]


class _Lock(ExecutableDDLElement):
    """Makes others wait: with writing, or `alone` with reading too."""

    def __init__(self, table: sa.TableClause, alone: bool) -> None:
        self.table = table
        self.mode = "ACCESS EXCLUSIVE" if alone else "SHARE ROW EXCLUSIVE"


@compiles(_Lock, "postgresql")
def _lock(element: _Lock, compiler: Any, **_: Any) -> str:
    return f"LOCK TABLE {compiler.preparer.format_table(element.table)} IN {element.mode} MODE"


class _Restore(Insert):
    """An insert that also fills identity columns, which Postgres else refuses."""

    inherit_cache = False


@compiles(_Restore, "postgresql")
def _restore(element: _Restore, compiler: Any, **kwargs: Any) -> str:
    text: str = compiler.visit_insert(element, **kwargs)
    return text.replace(") VALUES (", ") OVERRIDING SYSTEM VALUE VALUES (", 1)


def database(connection: SqlTable) -> str:
    """The database's address without its password. Raises FarSideError when there is none to read."""
    return _url(connection).render_as_string(hide_password=True)


@contextmanager
def reading(connection: SqlTable) -> Iterator["Table"]:
    """The table as of one moment. Raises FarSideError, `again` when it is busy or not reached."""
    with _connected(connection) as table:
        yield table


@contextmanager
def writing(connection: SqlTable, *, alone: bool = False) -> Iterator["Table"]:
    """The table in one transaction that holds its write lock; an error undoes it. Raises FarSideError.

    `alone` keeps readers out too, which changing columns needs, and from the start: asked for later, it
    could wait for a reader that waits for us.
    """
    with _connected(connection, write=True, alone=alone) as table:
        yield table


class Table:
    """The table within an open transaction."""

    def __init__(self, connection: Connection, registered: SqlTable) -> None:
        """Reflects. Raises FarSideError when table, key or order columns are not there."""
        self.connection = connection
        self._registered = registered
        self._inspector = sa.inspect(connection)
        self.postgres = connection.dialect.name == "postgresql"
        self.schema, self.name = self._find(registered.table)
        columns = self._inspector.get_columns(self.name, schema=self.schema)
        self.reflected = tuple(columns)
        self.columns: tuple[str, ...] = tuple(column["name"] for column in columns)
        self.key = registered.key
        for name in (*self.key, *filter(None, [registered.order_by])):
            if name not in self.columns:
                raise FarSideError(f"table {self.name} has no column {name}", again=False)
        self._computed = {column["name"] for column in columns if column.get("computed")}
        self._primary = tuple(
            self._inspector.get_pk_constraint(self.name, schema=self.schema)["constrained_columns"]
        )
        self._rowid = "" if self.postgres else self._find_rowid()
        system = ("tableoid", "ctid") if self.postgres else filter(None, [self._rowid])
        # Bare columns have no type, so no value is converted on its way.
        self._table = sa.table(self.name, *map(sa.column, (*self.columns, *system)), schema=self.schema)
        self._order_by = registered.order_by

    def lock(self, alone: bool) -> None:
        """Makes others wait; SQLite's BEGIN IMMEDIATE did so already."""
        if self.postgres:
            self.connection.execute(_Lock(self._table, alone))

    def again(self) -> "Table":
        """The table as it is now, after its columns were changed here."""
        return Table(self.connection, self._registered)

    def total(self) -> int:
        """How many rows there are."""
        found: int = self.connection.execute(sa.select(sa.func.count()).select_from(self._table)).scalar_one()
        return found

    def checksum(self, names: Sequence[str]) -> tuple[int, str]:
        """How many rows there are, and 32 hex characters over their cells in these columns, in any order."""
        chosen = sa.select(*(self._plain(self._table.c[name]) for name in names))
        total = count = 0
        for row in self.connection.execute(chosen, execution_options={"yield_per": 2000}):
            cells = hashlib.blake2b(_key(map(_freeze, row)), digest_size=16)
            total, count = total + int.from_bytes(cells.digest()), count + 1
        return count, f"{total % 2**128:032x}"

    def holding(self, conditions: Sequence[sa.ColumnElement[bool]], most: int = MOST_ROWS) -> tuple[Row, ...]:
        """Rows, `most` at most, of which at least one condition is true."""
        cells = [self._plain(self._table.c[name]) for name in self.columns]
        rowid = [self._table.c[self._rowid]] if self._rowid else []
        chosen = sa.select(*rowid, *cells).select_from(self._table).where(sa.or_(*conditions)).limit(most)
        return tuple(
            Row(rowid=row[0] if rowid else None, cells=tuple(map(_freeze, row[len(rowid) :])))
            for row in self.connection.execute(chosen)
        )

    def written_as(self) -> str:
        """SQLite's own text of the table; empty on Postgres, which keeps none."""
        if self.postgres:
            return ""
        mine = (_MASTER.c.type == "table") & (_MASTER.c.name == self.name)
        return str(self.connection.execute(sa.select(_MASTER.c.sql).where(mine)).scalar_one())

    @property
    def order(self) -> str:
        """By what first and last are told apart, in words; empty when by nothing."""
        stored = "the order in which they were stored" if self._rowid else ""
        return self._order_by or ", ".join(self._primary) or stored

    def dangers(self) -> tuple[str, ...]:
        """What would make taking rows out do more than it says, in words."""
        found = [f"trigger {name} acts when rows go or come" for name in self._triggers()]
        for other, action in self._referring():
            found.append(f"rows of {other} that refer to it would change too (ON DELETE {action})")
        return tuple(found)

    def repeats(self, keep: Keep) -> Repeats:
        """Groups of rows with the same key, no part of it NULL, and all of each but the first or last.

        Raises FarSideError over `MOST_ROWS`, or when first and last cannot be told apart.
        """
        ranked = self._ranked(keep)
        found = self._rows(ranked, ranked.c[_NTH] > 1)
        if len(found) > MOST_ROWS:
            raise FarSideError(f"more than {MOST_ROWS:,} rows repeat, too many for one repair", again=False)
        if found and not self.order:
            self._must_be_alike(ranked)
        rows = sorted((row for row, _ in found), key=lambda row: (_key(row.cells), row.rowid or 0))
        return Repeats(total=self.total(), groups=sum(nth == 2 for _, nth in found), rows=tuple(rows))

    def remove(self, keep: Keep, rows: Sequence[Row]) -> None:
        """Takes out exactly `rows`. Raises FarSideError (again=False) when what repeats is no longer they."""
        if _counted(self.repeats(keep).rows) != _counted(rows):
            raise FarSideError("the rows that repeat are no longer those that were backed up", again=False)
        ranked = self._ranked(keep)
        names = self._identity()
        doomed = sa.select(*(ranked.c[name] for name in names)).where(ranked.c[_NTH] > 1)
        gone = self.connection.execute(
            sa.delete(self._table).where(sa.tuple_(*(self._table.c[name] for name in names)).in_(doomed))
        ).rowcount
        if gone != len(rows):
            raise FarSideError(f"{gone} rows would have gone instead of {len(rows)}", again=False)

    def present(self, keep: Keep, rows: Sequence[Row]) -> int:
        """How many of `rows` stand in the table: by primary key, else by being among what repeats."""
        at = [self.columns.index(name) for name in self._primary]
        keys = [tuple(row.cells[i] for i in at) for row in rows]
        if not at or any(cell is None for key in keys for cell in key):
            return (_counted(rows) & _counted(self.repeats(keep).rows)).total()
        found: set[bytes] = set()
        primary = [self._table.c[name] for name in self._primary]
        for start in range(0, len(keys), _CHUNK):
            values = [tuple(map(_thaw, key)) for key in keys[start : start + _CHUNK]]
            chosen = sa.select(*map(self._plain, primary)).where(sa.tuple_(*primary).in_(values))
            found.update(_key(map(_freeze, row)) for row in self.connection.execute(chosen))
        return sum(_key(key) in found for key in keys)

    def put_back(self, rows: Sequence[Row]) -> None:
        """Inserts `rows` as they were; one whose rowid is taken by now gets a new one."""
        taken: set[int] = set()
        numbers = [row.rowid for row in rows if row.rowid is not None]
        if self._rowid:
            column = self._table.c[self._rowid]
            for start in range(0, len(numbers), _CHUNK):
                chosen = sa.select(column).where(column.in_(numbers[start : start + _CHUNK]))
                taken.update(self.connection.execute(chosen).scalars())
        plain: list[dict[str, Any]] = []
        placed: list[dict[str, Any]] = []
        for row in rows:
            values = {
                n: _thaw(c) for n, c in zip(self.columns, row.cells, strict=True) if n not in self._computed
            }
            if row.rowid is None or row.rowid in taken:
                plain.append(values)
            else:
                placed.append({**values, self._rowid: row.rowid})
        for batch in filter(None, (placed, plain)):
            self.connection.execute(_Restore(self._table), batch)

    def _find(self, name: str) -> tuple[str | None, str]:
        schema, _, short = name.rpartition(".")
        for place in ((None, name), (schema or None, short)):
            if place[1] in self._inspector.get_table_names(schema=place[0]):
                return place
        raise FarSideError(f"there is no table {name}", again=False)

    def _find_rowid(self) -> str:
        """A name of SQLite's row number that no column hides; empty for a table WITHOUT ROWID."""
        hidden = {name.lower() for name in self.columns}
        name = next((name for name in ("rowid", "_rowid_", "oid") if name not in hidden), "")
        bare = sa.table(self.name, sa.column(name or "rowid"), schema=self.schema)
        try:
            self.connection.execute(sa.select(*bare.c).limit(0))
        except OperationalError:
            return ""
        return name

    def _identity(self) -> tuple[str, ...]:
        if self._rowid:
            return (self._rowid,)
        return self._primary or ("tableoid", "ctid")

    def _plain(self, column: Any) -> Any:
        return sa.cast(column, sa.Text) if self.postgres else column

    def _ranked(self, keep: Keep) -> sa.Subquery:
        """Every row with a whole key, its identity and its place `nth` in its group; 1 is kept."""
        table = self._table
        tie = self._primary or ((self._rowid,) if self._rowid else ())
        order = [table.c[name] for name in (*filter(None, [self._order_by]), *tie)]
        # Without a number of its own, a row's place follows from what it holds, never from where it lies.
        order += [] if tie else [self._plain(table.c[name]) for name in self.columns]
        # NULL counts as oldest in both databases.
        by = [c.asc().nulls_first() if keep == "first" else c.desc().nulls_last() for c in order]
        key = [table.c[name] for name in self.key]
        nth = sa.func.row_number().over(partition_by=key, order_by=by).label(_NTH)
        size = sa.func.count().over(partition_by=key).label(_SIZE)
        chosen = sa.select(*(table.c[name] for name in self._identity()), nth, size)
        return chosen.where(*(column.is_not(None) for column in key)).subquery()

    def _rows(self, ranked: sa.Subquery, where: Any) -> list[tuple[Row, int]]:
        """Rows with their place in their group; no more than it takes to see that they are too many."""
        cells = [self._plain(self._table.c[name]) for name in self.columns]
        rowid = [self._table.c[self._rowid]] if self._rowid else []
        same = sa.and_(*(self._table.c[name] == ranked.c[name] for name in self._identity()))
        chosen = sa.select(ranked.c[_NTH], *cells, *rowid).select_from(ranked.join(self._table, same))
        found = []
        for nth, *values in self.connection.execute(chosen.where(where).limit(2 * MOST_ROWS + 1)):
            number = values.pop() if rowid else None
            found.append((Row(cells=tuple(map(_freeze, values)), rowid=number), nth))
        return found

    def _must_be_alike(self, ranked: sa.Subquery) -> None:
        at = [self.columns.index(name) for name in self.key]
        seen: dict[bytes, bytes] = {}
        for row, _ in self._rows(ranked, ranked.c[_SIZE] > 1):
            whole = _key(row.cells)
            if seen.setdefault(_key([row.cells[i] for i in at]), whole) != whole:
                raise FarSideError("which row is last cannot be told: register `order_by`", again=False)

    def _referring(self) -> Iterator[tuple[str, str]]:
        """Tables whose rows change when ours are deleted, and how; reflection overlooks some of them."""
        if not self.postgres:
            keys = sa.func.pragma_foreign_key_list(_MASTER.c.name).table_valued("table", "on_delete")
            mine = (_MASTER.c.type == "table") & (sa.func.lower(keys.c.table) == self.name.lower())
            chosen = sa.select(_MASTER.c.name, keys.c.on_delete).select_from(_MASTER.join(keys, sa.true()))
            for name, action in self.connection.execute(chosen.where(mine)):
                if action not in ("NO ACTION", "RESTRICT"):
                    yield name, action
            return
        key, other = (
            _catalog("constraint", "conrelid", "confrelid", "confdeltype"),
            _catalog("class", "oid", "relname"),
        )
        joined = key.join(other, key.c.conrelid == other.c.oid)
        mine = (key.c.confrelid == self._oid()) & key.c.confdeltype.in_(_ON_DELETE)
        chosen = sa.select(other.c.relname, key.c.confdeltype).select_from(joined).where(mine)
        for name, action in self.connection.execute(chosen):
            yield name, _ON_DELETE[action]

    def _triggers(self) -> list[str]:
        if not self.postgres:
            mine = (_MASTER.c.type == "trigger") & (sa.func.lower(_MASTER.c.tbl_name) == self.name.lower())
            writes = _MASTER.c.sql.regexp_match(r"(?i)\b(DELETE|INSERT)\s+ON\b")
            return list(self.connection.execute(sa.select(_MASTER.c.name).where(mine & writes)).scalars())
        trigger = _catalog("trigger", "tgname", "tgrelid", "tgtype", "tgisinternal")
        # pg_trigger.h: 4 is INSERT, 8 is DELETE.
        writes = sa.not_(trigger.c.tgisinternal) & (trigger.c.tgtype.op("&")(12) != 0)
        chosen = sa.select(trigger.c.tgname).where((trigger.c.tgrelid == self._oid()) & writes)
        return list(self.connection.execute(chosen).scalars())

    def _oid(self) -> int:
        """Postgres' own number of the table."""
        relation, space = (
            _catalog("class", "oid", "relname", "relnamespace"),
            _catalog("namespace", "oid", "nspname"),
        )
        mine = (relation.c.relname == self.name) & (
            space.c.nspname == (self.schema or self._inspector.default_schema_name)
        )
        joined = relation.join(space, relation.c.relnamespace == space.c.oid)
        found: int = self.connection.execute(
            sa.select(relation.c.oid).select_from(joined).where(mine)
        ).scalar_one()
        return found


def _catalog(name: str, *columns: str) -> sa.TableClause:
    return sa.table(f"pg_{name}", *map(sa.column, columns), schema="pg_catalog")


def dump(table: Table, rows: Sequence[Row]) -> bytes:
    """A backup: a line that names table and columns, then a line a row."""
    lines = [orjson.dumps({"table": table.name, "columns": table.columns})]
    lines += [orjson.dumps([row.rowid, row.cells]) for row in rows]
    return b"\n".join(lines) + b"\n"


def load(data: bytes) -> tuple[Row, ...]:
    """The rows of a backup."""
    return tuple(Row(rowid=rowid, cells=cells) for rowid, cells in map(orjson.loads, data.splitlines()[1:]))


def _url(connection: SqlTable) -> sa.URL:
    try:
        url = make_url(connection.address())
    except ArgumentError:
        # The text itself may hold a password, so it is not repeated.
        raise FarSideError("the database's address cannot be read", again=False) from None
    kind = url.get_backend_name()
    if kind in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise FarSideError(f"{kind} is not supported, only SQLite and Postgres are", again=False)
    if not url.database or not Path(url.database).is_file():
        raise FarSideError("the SQLite file is not there", again=False)
    return url.set(drivername="sqlite")


@contextmanager
def _connected(registered: SqlTable, *, write: bool = False, alone: bool = False) -> Iterator[Table]:
    url = _url(registered)
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCK_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(
            engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN") and None
        )
    else:
        level: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED" if write else "REPEATABLE READ"
        connect = {"connect_timeout": LOCK_SECONDS}
        engine = sa.create_engine(url, poolclass=NullPool, isolation_level=level, connect_args=connect)
    try:
        with engine.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                settings = [sa.func.set_config(name, value, True) for name, value in _POSTGRES.items()]
                connection.execute(sa.select(*settings))
            table = Table(connection, registered)
            if write:
                table.lock(alone)
                table = table.again()  # now nobody can change it any more
            yield table
    except SQLAlchemyError as error:
        says = str(error.orig if isinstance(error, DBAPIError) else error).splitlines()[0][:200]
        raise FarSideError(f"the database says: {says}", again=isinstance(error, OperationalError)) from None
    finally:
        engine.dispose()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # BEGIN is said by us
    connection.execute("PRAGMA foreign_keys=ON")
    ends = time.monotonic() + STATEMENT_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > ends, 100_000)


def _freeze(value: Any) -> Any:
    """A driver's value as JSON can hold it without loss."""
    if isinstance(value, float):
        return {"real": value.hex()}
    return {"blob": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _thaw(cell: Any) -> Any:
    if isinstance(cell, dict):
        return float.fromhex(cell["real"]) if "real" in cell else base64.b64decode(cell["blob"])
    return cell


def _key(cells: Iterable[Any]) -> bytes:
    return orjson.dumps(list(cells))


def _counted(rows: Iterable[Row]) -> Counter[bytes]:
    return Counter(_key(row.cells) for row in rows)
