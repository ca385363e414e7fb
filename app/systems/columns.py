"""The columns of a table against those that its owner declared: compared, added, taken away again.

Only what is declared becomes a name or a type. Added columns carry a mark, a comment that both
databases keep, so that nobody's own columns are ever taken for them.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement, SetColumnComment

from app.foundation.record import Record
from app.systems.connections import SqlColumn
from app.systems.sql import Row, Table

Declared = Mapping[str, SqlColumn]
# What is written for a declared type, and what counts as it where it stands already.
_TYPES: dict[str, tuple[sa.types.TypeEngine[Any], tuple[type, ...]]] = {
    "integer": (sa.BigInteger(), (sa.Integer,)),
    "number": (sa.Double(), (sa.Float,)),
    "decimal": (sa.Numeric(), (sa.Numeric,)),
    "text": (sa.Text(), (sa.String,)),
    "boolean": (sa.Boolean(), (sa.Boolean,)),
    "date": (sa.Date(), (sa.Date,)),
    "datetime": (sa.DateTime(timezone=True), (sa.DateTime,)),
}


class Difference(Record):
    """Declared columns that are not there, and in words what adding columns cannot mend."""

    missing: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def none(self) -> bool:
        return not self.missing and not self.others


class _Change(ExecutableDDLElement):
    """ADD or DROP COLUMN."""

    def __init__(self, verb: str, column: sa.Column[Any], mark: str = "") -> None:
        self.verb = verb
        self.column = column
        self.mark = mark


@compiles(_Change)
def _change(element: _Change, compiler: Any, **_: Any) -> str:
    column, preparer = element.column, compiler.preparer
    what = (
        compiler.get_column_specification(column) if element.verb == "ADD" else preparer.format_column(column)
    )
    text = f"ALTER TABLE {preparer.format_table(column.table)} {element.verb} COLUMN {what}"
    return text + (f" /* {element.mark} */" if element.mark else "")


def compare(table: Table, declared: Declared) -> Difference:
    """What the table lacks of what is declared."""
    found = {column["name"]: column for column in table.reflected}
    alike = {name.casefold(): name for name in found}
    missing: list[str] = []
    others: list[str] = []
    for name, want in declared.items():
        if name in found:
            others += _differences(table, found[name], want)
        elif name.casefold() in alike:
            others.append(f"column {name} is there as {alike[name.casefold()]}, which nobody should guess at")
        else:
            missing.append(name)
    return Difference(missing=tuple(missing), others=tuple(others))


def _differences(table: Table, found: Any, want: SqlColumn) -> Iterable[str]:
    name, kind = found["name"], _kind(found["type"])
    anything = isinstance(found["type"], sa.types.NullType) and not table.postgres
    if kind != want.type and not anything:
        yield (
            f"column {name} is {_written(table, found)} and is declared as {want.type}: changing a type is "
            "no addition"
        )
    if want.nullable and not found["nullable"]:
        yield f"column {name} may not be empty and is declared as one that may: that is no addition"
    if not want.nullable and found["nullable"]:
        yield f"column {name} may be empty and is declared as one that may not: that is no addition"


def _kind(found: sa.types.TypeEngine[Any]) -> str:
    # An enum is a kind of string to SQLAlchemy, and a float may be a kind of decimal.
    if isinstance(found, sa.Enum):
        return ""
    order = ("number", *(kind for kind in _TYPES if kind != "number"))
    return next((kind for kind in order if isinstance(found, _TYPES[kind][1])), "")


def _written(table: Table, found: Any) -> str:
    if isinstance(found["type"], sa.types.NullType):
        return "of an unknown type"
    return str(found["type"].compile(dialect=table.connection.dialect))


def described(table: Table, without: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every column, but for those `without`: name, type, whether it may be empty, default."""
    return [
        {
            "name": column["name"],
            "type": _written(table, column),
            "nullable": column["nullable"],
            "default": column["default"],
        }
        for column in table.reflected
        if column["name"] not in without
    ]


def digest(table: Table, without: Sequence[str] = ()) -> str:
    """Hex sha256 over what `described` gives."""
    return hashlib.sha256(orjson.dumps(described(table, without))).hexdigest()


def add(table: Table, wanted: Declared, mark: str) -> None:
    """Adds these columns with `mark` on each."""
    if not re.fullmatch(r"[\w ]+", mark):
        raise ValueError("a mark is words and nothing else")
    for name, want in wanted.items():
        column = _column(table, name, want)
        if table.postgres:
            column.comment = mark
            table.connection.execute(_Change("ADD", column))
            table.connection.execute(SetColumnComment(column))
        else:
            table.connection.execute(_Change("ADD", column, mark))


def drop(table: Table, names: Sequence[str]) -> None:
    """Takes these columns away with all that stands in them."""
    for name in names:
        table.connection.execute(_Change("DROP", _column(table, name)))


def marked(table: Table, names: Sequence[str], mark: str) -> bool:
    """Whether these columns are there and every one of them carries `mark`."""
    if not set(names) <= set(table.columns):
        return False
    if not table.postgres:
        return table.written_as().count(f"/* {mark} */") == len(names)
    return all(column.get("comment") == mark for column in table.reflected if column["name"] in names)


def filled(table: Table, added: Declared, most: int) -> tuple[Row, ...]:
    """Rows, `most` at most, in which one of these columns holds something else than its default."""
    return table.holding([_holds(name, want) for name, want in added.items()], most)


def _holds(name: str, want: SqlColumn) -> sa.ColumnElement[bool]:
    column: sa.ColumnClause[Any] = sa.column(name, _TYPES[want.type][0])
    if want.default is None:
        return column.is_not(None)
    return column.is_distinct_from(_literal(want))


def _literal(want: SqlColumn) -> sa.ColumnElement[Any]:
    return sa.literal(want.default, _TYPES[want.type][0])


def _column(table: Table, name: str, want: SqlColumn | None = None) -> sa.Column[Any]:
    """As SQLAlchemy writes it, within its table."""
    column: sa.Column[Any] = sa.Column(name)
    if want is not None:
        default = None if want.default is None else _literal(want)
        column = sa.Column(name, _TYPES[want.type][0], nullable=want.nullable, server_default=default)
    sa.Table(table.name, sa.MetaData(), column, schema=table.schema)
    return column
