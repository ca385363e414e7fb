"""Columns of real SQLite and Postgres tables: compared with what is declared, added, dropped again."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from app.systems import columns, sql
from app.systems.connections import SqlColumn, SqlTable

MARK = "added by Mendline key_1"
Run = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Run]]:
    """An address, and a way to look at what is there. It holds a table of three orders."""
    if request.param == "sqlite":
        lite = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
        url, close = f"sqlite:///{tmp_path / 'shop.db'}", lite.close

        def run(statement: str) -> list[tuple[Any, ...]]:
            return lite.execute(statement).fetchall()
    else:
        url = request.getfixturevalue("postgres_url")
        post = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        post.execute("DROP TABLE IF EXISTS sales")
        close = post.close

        def run(statement: str) -> list[tuple[Any, ...]]:
            done = post.execute(statement.encode())
            return done.fetchall() if done.description else []

    run(
        "CREATE TABLE sales (id INTEGER PRIMARY KEY, total DOUBLE PRECISION, note VARCHAR(9) NOT NULL, d DATE)"
    )
    run("INSERT INTO sales VALUES (1, 1.5, 'a', NULL), (2, NULL, 'b', '2024-02-29'), (3, 0.1, 'a', NULL)")
    yield url, run
    run("DROP TABLE sales")
    close()


def table(shop: tuple[str, Run]) -> SqlTable:
    return SqlTable.model_validate({"type": "table", "url": shop[0], "table": "sales", "key": ["id"]})


def compared(shop: tuple[str, Run], declared: dict[str, dict[str, Any]]) -> columns.Difference:
    with sql.reading(table(shop)) as found:
        return columns.compare(found, {name: SqlColumn(**want) for name, want in declared.items()})


EVERY = {
    "i": SqlColumn(type="integer", default=-(2**40)),
    "n": SqlColumn(type="number", default=0.1),
    "m": SqlColumn(type="decimal", nullable=False, default=12.25),
    "t": SqlColumn(type="text", nullable=False, default='it\'s 100% :x \\ "y"'),
    "b": SqlColumn(type="boolean", nullable=False, default=True),
    "day": SqlColumn(type="date"),
    "at": SqlColumn(type="datetime"),
    'odd "name"; --': SqlColumn(type="text"),
}


class TestDeclared:
    @pytest.mark.parametrize(
        "want",
        [
            {"type": "integer", "nullable": False},
            {"type": "integer", "default": True},
            {"type": "integer", "default": 1.5},
            {"type": "boolean", "default": 1},
            {"type": "text", "default": 1},
            {"type": "date", "default": "2024-01-01"},
            {"type": "number", "default": float("nan")},
            {"type": "varchar(9)"},
        ],
    )
    def test_what_cannot_be_is_refused(self, want: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            SqlColumn(**want)


class TestCompare:
    def test_what_is_there_in_any_size_and_what_is_not(self, shop: tuple[str, Run]) -> None:
        found = compared(
            shop,
            {
                "id": {"type": "integer", "nullable": False, "default": 0},
                "total": {"type": "number"},
                "note": {"type": "text", "nullable": False, "default": ""},
                "d": {"type": "date"},
                "tier": {"type": "text"},
            }
            # SQLite lets a key of whole numbers look as if it might be empty.
            | ({"id": {"type": "integer"}} if "sqlite" in shop[0] else {}),
        )
        assert found == columns.Difference(missing=("tier",), others=())

    @pytest.mark.parametrize(
        ("name", "want", "says"),
        [
            ("total", {"type": "text"}, "is declared as text: changing a type is no addition"),
            ("total", {"type": "decimal"}, "changing a type is no addition"),
            ("d", {"type": "datetime"}, "column d is DATE and is declared as datetime"),
            ("note", {"type": "text"}, "column note may not be empty"),
            ("total", {"type": "number", "nullable": False, "default": 0}, "column total may be empty"),
            ("Note", {"type": "text"}, "column Note is there as note"),
        ],
    )
    def test_what_adding_cannot_mend(
        self, shop: tuple[str, Run], name: str, want: dict[str, Any], says: str
    ) -> None:
        found = compared(shop, {name: want, "tier": {"type": "text"}})
        assert says in found.others[0]
        assert found.missing == ("tier",)

    def test_types_of_postgres_that_are_none_of_ours(self, shop: tuple[str, Run]) -> None:
        if "sqlite" in shop[0]:
            pytest.skip("SQLite has no such types")
        shop[1]("DROP TYPE IF EXISTS tier; CREATE TYPE tier AS ENUM ('a')")
        shop[1]("ALTER TABLE sales ADD e tier, ADD u UUID, ADD j JSONB")
        for name in "euj":
            assert "is declared as text" in compared(shop, {name: {"type": "text"}}).others[0]

    def test_a_column_without_a_type_holds_anything(self, shop: tuple[str, Run]) -> None:
        if "sqlite" not in shop[0]:
            pytest.skip("Postgres has no such columns")
        shop[1]("ALTER TABLE sales ADD v")
        assert compared(shop, {"v": {"type": "decimal"}}).none


class TestAddAndDrop:
    def test_every_type_there_and_back(self, shop: tuple[str, Run]) -> None:
        before = shop[1]("SELECT * FROM sales ORDER BY id")
        with sql.writing(table(shop), alone=True) as found:
            old, total = columns.digest(found), found.checksum(found.columns)
            columns.add(found, EVERY, MARK)
            now = found.again()
            assert columns.compare(now, EVERY).none
            assert now.checksum(found.columns) == total
            assert columns.digest(now, tuple(EVERY)) == old
        row = shop[1]("SELECT i, n, m, t, b, day, at FROM sales WHERE id = 1")[0]
        assert tuple(float(cell) if hasattr(cell, "as_tuple") else cell for cell in row) == (
            -(2**40),
            0.1,
            12.25,
            EVERY["t"].default,
            True,
            None,
            None,
        )
        with sql.writing(table(shop), alone=True) as found:
            assert columns.marked(found, tuple(EVERY), MARK)
            assert not columns.marked(found, tuple(EVERY), MARK + "2")
            assert not columns.marked(found, ("note",), MARK)
            assert not columns.marked(found, (*EVERY, "none"), MARK)
            assert columns.filled(found, EVERY, 9) == ()
            columns.drop(found, tuple(EVERY))
            assert columns.digest(found.again()) == old
        assert shop[1]("SELECT * FROM sales ORDER BY id") == before
        with sql.reading(table(shop)) as found:
            assert found.checksum(found.columns) == total

    def test_an_error_takes_all_of_it_back(self, shop: tuple[str, Run]) -> None:
        with pytest.raises(RuntimeError), sql.writing(table(shop), alone=True) as found:
            columns.add(found, EVERY, MARK)
            raise RuntimeError
        assert len(shop[1]("SELECT * FROM sales")[0]) == 4

    def test_what_is_filled(self, shop: tuple[str, Run]) -> None:
        with sql.writing(table(shop), alone=True) as found:
            columns.add(found, EVERY, MARK)
        shop[1]("INSERT INTO sales (id, note) VALUES (4, 'new')")
        changes = (
            "i = 5",
            "i = NULL",
            "n = 0.2",
            "m = 1",
            "t = ''",
            "day = '2024-01-01'",
            "at = '2024-01-01'",
        )
        for change in (*changes, "b = NOT b"):
            shop[1](f"UPDATE sales SET {change} WHERE id = 1")
            with sql.reading(table(shop)) as found:
                (row,) = columns.filled(found, EVERY, 9)
                assert row.cells[0] in (1, "1")
            name = change.partition(" ")[0]
            shop[1](f"UPDATE sales SET {name} = (SELECT {name} FROM sales WHERE id = 4) WHERE id = 1")
        with sql.reading(table(shop)) as found:
            assert columns.filled(found, EVERY, 9) == ()


class TestChecksum:
    def test_counts_rows_and_sees_every_cell_in_any_order(self, shop: tuple[str, Run]) -> None:
        def summed() -> tuple[int, str]:
            with sql.reading(table(shop)) as found:
                return found.checksum(found.columns)

        first = summed()
        shop[1]("DELETE FROM sales WHERE id = 1")
        shop[1]("INSERT INTO sales VALUES (1, 1.5, 'a', NULL)")
        assert summed() == first
        shop[1]("UPDATE sales SET d = '2024-02-28' WHERE id = 2")
        assert (summed()[0], summed() == first) == (3, False)
        shop[1]("UPDATE sales SET d = NULL WHERE id = 2")
        shop[1]("INSERT INTO sales VALUES (4, 0, '', NULL)")
        assert summed()[0] == 4
