"""Repeating rows of real SQLite and Postgres tables: found, removed, put back exactly."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.systems import sql
from app.systems.connections import SqlTable
from app.systems.far_side import FarSideError

Make = Callable[..., SqlTable]


class Lite:
    """A SQLite file, and a plain connection to look at it from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.connection = sqlite3.connect(path, isolation_level=None)

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, values).fetchall()

    def table(self, name: str, key: str, **fields: Any) -> SqlTable:
        return SqlTable.model_validate(
            {"type": "table", "url": self.url, "table": name, "key": [key], **fields}
        )


class Post(Lite):
    """A schema of its own in the Postgres server; without a schema's name it is the first to be searched."""

    def __init__(self, url: str, schema: str) -> None:
        self.url = f"{url}&options=-csearch_path%3D{schema}"
        self.schema = schema
        self.connection = psycopg.connect(  # type: ignore[assignment]
            self.url.replace("+psycopg", ""), autocommit=True
        )
        self.run(f"CREATE SCHEMA {schema}")

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        done: Any = self.connection.execute(statement, values or None)  # type: ignore[arg-type]
        return done.fetchall() if done.description else []


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Lite]:
    found = Lite(tmp_path / "shop.db")
    yield found
    found.connection.close()


@pytest.fixture
def post(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[Post]:
    found = Post(postgres_url, f"s{abs(hash(request.node.nodeid))}")
    yield found
    found.run(f"DROP SCHEMA {found.schema} CASCADE")
    found.connection.close()


@pytest.fixture(params=["lite", "post"])
def either(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def repeats(table: SqlTable, keep: sql.Keep = "last") -> sql.Repeats:
    with sql.reading(table) as found:
        return found.repeats(keep)


def remove(table: SqlTable, keep: sql.Keep = "last") -> tuple[sql.Row, ...]:
    """Removes what repeats; what is returned went through the form of a backup."""
    with sql.reading(table) as found:
        rows = sql.load(sql.dump(found, found.repeats(keep).rows))
    with sql.writing(table) as found:
        found.remove(keep, rows)
    return rows


def put_back(table: SqlTable, rows: tuple[sql.Row, ...]) -> None:
    with sql.writing(table) as found:
        found.put_back(rows)


def present(table: SqlTable, rows: tuple[sql.Row, ...], keep: sql.Keep = "last") -> int:
    with sql.reading(table) as found:
        return found.present(keep, rows)


def orders(at: Any, name: str = "orders") -> SqlTable:
    at.run(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, number TEXT, at INTEGER)")
    rows = ((1, "'a'", 3), (2, "'a'", 1), (3, "'b'", 1), (4, "NULL", 1), (5, "NULL", 1), (6, "'a'", 2))
    for row in rows:
        at.run(f"INSERT INTO {name} VALUES ({', '.join(map(str, row))})")
    return at.table(name, "number")


class TestRepeats:
    def test_counts_and_null_never_repeats(self, either: Any) -> None:
        found = repeats(orders(either))
        assert (found.total, found.groups, len(found.rows)) == (6, 1, 2)

    @pytest.mark.parametrize(
        ("keep", "order_by", "stay"),
        [("last", "", 6), ("first", "", 1), ("last", "at", 1), ("first", "at", 2)],
    )
    def test_which_one_stays(self, either: Any, keep: sql.Keep, order_by: str, stay: int) -> None:
        table = orders(either).model_copy(update={"order_by": order_by})
        remove(table, keep)
        assert either.run("SELECT id FROM orders WHERE number = 'a'") == [(stay,)]

    def test_null_counts_as_oldest(self, either: Any) -> None:
        table = orders(either).model_copy(update={"order_by": "at"})
        either.run("UPDATE orders SET at = NULL WHERE id = 1")
        remove(table)
        assert either.run("SELECT id FROM orders WHERE number = 'a'") == [(6,)]

    def test_a_key_of_two_columns(self, either: Any) -> None:
        table = orders(either).model_copy(update={"key": ("number", "at")})
        assert repeats(table).rows == ()
        either.run("UPDATE orders SET at = 1 WHERE number = 'a'")
        assert len(repeats(table).rows) == 2

    def test_names_that_need_quoting(self, either: Any) -> None:
        either.run('CREATE TABLE "Order; --" (id INTEGER PRIMARY KEY, "the ""key" TEXT, "x:y (z)" TEXT)')
        for n in range(3):
            either.run(f"INSERT INTO \"Order; --\" VALUES ({n}, 'a', 'b')")
        table = either.table("Order; --", 'the "key')
        rows = remove(table)
        put_back(table, rows)
        assert len(either.run('SELECT * FROM "Order; --"')) == 3

    def test_what_is_not_there(self, either: Any) -> None:
        table = orders(either)
        for fields, says in (
            ({"table": "none"}, "no table none"),
            ({"key": ("none",)}, "no column none"),
            ({"order_by": "none"}, "no column none"),
        ):
            with pytest.raises(FarSideError, match=says) as error:
                repeats(table.model_copy(update=fields))
            assert not error.value.again

    def test_a_view_is_no_table(self, either: Any) -> None:
        orders(either)
        either.run("CREATE VIEW seen AS SELECT * FROM orders")
        with pytest.raises(FarSideError, match="no table seen"):
            repeats(either.table("seen", "number"))

    def test_a_table_of_another_schema(self, post: Post) -> None:
        orders(post)
        post.run("SET search_path TO public")
        named = SqlTable.model_validate(
            {
                "type": "table",
                "url": post.url.partition("&options")[0],
                "table": f"{post.schema}.orders",
                "key": ["number"],
            }
        )
        rows = remove(named)
        put_back(named, rows)
        assert present(named, rows) == 2

    def test_rows_that_cannot_be_told_apart_by_age(self, post: Post) -> None:
        post.run("CREATE TABLE t (k TEXT, v TEXT)")
        post.run("INSERT INTO t VALUES ('a', 'x'), ('a', 'x'), ('b', 'y'), ('c', '1'), ('d', '2')")
        assert len(repeats(post.table("t", "k")).rows) == 1
        post.run("INSERT INTO t VALUES ('a', 'z')")
        with pytest.raises(FarSideError, match="register `order_by`"):
            repeats(post.table("t", "k"))
        assert len(repeats(post.table("t", "k", order_by="v")).rows) == 2


class TestRemoveAndPutBack:
    def test_all_of_it_or_nothing(self, either: Any) -> None:
        table = orders(either)
        before = either.run("SELECT * FROM orders ORDER BY id")
        rows = repeats(table).rows
        assert present(table, rows) == 2
        removed = remove(table)
        assert removed == rows
        assert present(table, rows) == 0
        assert repeats(table).rows == ()
        put_back(table, removed)
        assert present(table, rows) == 2
        assert either.run("SELECT * FROM orders ORDER BY id") == before

    def test_other_rows_than_were_backed_up_are_not_removed(self, either: Any) -> None:
        table = orders(either)
        rows = repeats(table).rows
        either.run("UPDATE orders SET at = 99 WHERE id = 2")
        with pytest.raises(FarSideError, match="no longer those"), sql.writing(table) as found:
            found.remove("last", rows)
        assert len(either.run("SELECT * FROM orders")) == 6

    def test_some_there_and_some_not(self, either: Any) -> None:
        table = orders(either)
        rows = remove(table)
        put_back(table, rows[:1])
        assert present(table, rows) == 1

    def test_a_row_that_is_referred_to_stays(self, either: Any) -> None:
        table = orders(either)
        either.run("CREATE TABLE lines (of INTEGER REFERENCES orders (id))")
        either.run("INSERT INTO lines VALUES (2)")
        rows = repeats(table).rows
        with pytest.raises(FarSideError, match=r"(?i)foreign key") as error, sql.writing(table) as found:
            found.remove("last", rows)
        assert not error.value.again
        assert len(either.run("SELECT * FROM orders")) == 6

    def test_a_writer_in_the_way_is_a_reason_to_try_again(self, either: Any) -> None:
        table = orders(either)
        either.run("BEGIN")
        either.run("UPDATE orders SET at = 9 WHERE id = 3")
        with pytest.raises(FarSideError) as error, sql.writing(table):
            pass
        assert error.value.again
        either.run("ROLLBACK")

    def test_no_database(self, tmp_path: Path) -> None:
        def table(url: str) -> SqlTable:
            return SqlTable.model_validate({"type": "table", "url": url, "table": "t", "key": ["k"]})

        for url, says, again in (
            (f"sqlite:///{tmp_path}/none.db", "SQLite file is not there", False),
            ("sqlite://", "SQLite file is not there", False),
            ("mysql://u:hidden@h/d", "mysql is not supported", False),
            ("hidden no url", "address cannot be read", False),
            ("postgresql://u:hidden@127.0.0.1:1/d", "the database says", True),
        ):
            with pytest.raises(FarSideError, match=says) as error, sql.reading(table(url)):
                pass
            assert error.value.again is again
            assert "hidden" not in error.value.says
        assert sql.database(table("postgres://u:hidden@h/d")) == "postgresql+psycopg://u:***@h/d"
        assert not (tmp_path / "none.db").exists()


class TestNothingIsLost:
    def test_sqlite_values_of_every_kind(self, lite: Lite) -> None:
        lite.run("CREATE TABLE t (k TEXT, v, i INTEGER, d DATETIME, n NUMERIC, g AS (k || '!'))")
        values = [None, 2**63 - 1, -1.5, 0.1, float("inf"), "", "\x00é\U0001f600", "5", b"", b"\x00\xff"]
        for value in (*values, *values):
            lite.run("INSERT INTO t (k, v, i, d, n) VALUES ('a', ?, ?, 'no date', ?)", value, value, value)
        look = "SELECT rowid, k, quote(v), typeof(v), quote(i), typeof(i), d, quote(n), typeof(n), g FROM t"
        before = lite.run(look)
        rows = remove(lite.table("t", "k"))
        assert len(rows) == 19
        put_back(lite.table("t", "k"), rows)
        assert lite.run(look) == before

    def test_postgres_values_of_every_kind(self, post: Post) -> None:
        post.run("CREATE TYPE mood AS ENUM ('glad', 'sad')")
        post.run(
            "CREATE TABLE t (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k TEXT, n NUMERIC, f FLOAT8,"
            " d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, iv INTERVAL, by BYTEA, j JSON, jb JSONB, arr TEXT[], u UUID,"
            " b BOOLEAN, m mood, ip INET, r INT4RANGE, c CHAR(5), g TEXT GENERATED ALWAYS AS (k || '!') STORED)"
        )
        post.run(
            "INSERT INTO t (k, n, f, d, ts, tz, iv, by, j, jb, arr, u, b, m, ip, r, c) SELECT 'a',"
            " '12345678901234567890.123456789', 0.1::float8 + n, '2024-02-29', '2024-01-01 00:00:00.123456',"
            " '0044-03-15 12:00:00+01 BC', '1 year 2 mons -3 days 04:05:06.7', '\\x00ff', '{\"b\": 1, \"a\":  2}',"
            " '{\"b\": 1}', ARRAY['x,\"y', NULL, ''], gen_random_uuid(), true, 'sad', '10.0.0.0/8', '[1,5)', 'ab'"
            " FROM generate_series(1, 3) n"
        )
        post.run("INSERT INTO t (k, n, f, d, tz) VALUES ('a', 'NaN', '-Infinity', 'infinity', 'infinity')")
        look = "SELECT md5(t::text), t::text FROM t ORDER BY id"
        before = post.run(look)
        rows = remove(post.table("t", "k"))
        assert len(rows) == 3
        put_back(post.table("t", "k"), rows)
        assert post.run(look) == before

    def test_a_table_without_a_primary_key(self, either: Any) -> None:
        either.run("CREATE TABLE t (k TEXT, v TEXT)")
        either.run("INSERT INTO t VALUES ('a', 'x'), ('a', 'x'), ('a', 'x'), ('b', 'y'), (NULL, 'z')")
        table = either.table("t", "k")
        before = either.run("SELECT * FROM t ORDER BY k, v")
        rows = remove(table)
        assert (len(rows), present(table, rows)) == (2, 0)
        assert either.run("SELECT * FROM t WHERE k = 'a'") == [("a", "x")]
        put_back(table, rows)
        assert present(table, rows) == 2
        assert either.run("SELECT * FROM t ORDER BY k, v") == before

    def test_a_row_number_that_was_given_away_meanwhile(self, lite: Lite) -> None:
        lite.run("CREATE TABLE t (k TEXT, v TEXT)")
        lite.run("INSERT INTO t VALUES ('b', 'y'), ('a', 'x'), ('a', 'x')")
        table = lite.table("t", "k")
        rows = remove(table, "first")
        lite.run("INSERT INTO t VALUES ('new', 'n')")
        assert lite.run("SELECT rowid FROM t WHERE k = 'new'") == [(3,)]
        put_back(table, rows)
        assert lite.run("SELECT k FROM t ORDER BY rowid") == [("b",), ("a",), ("new",), ("a",)]

    def test_without_rowid_and_with_columns_that_hide_it(self, lite: Lite) -> None:
        lite.run("CREATE TABLE w (id TEXT PRIMARY KEY, k TEXT) WITHOUT ROWID")
        lite.run("CREATE TABLE h (rowid TEXT, _rowid_ TEXT, k TEXT)")
        for name, columns in (("w", "id, k"), ("h", "rowid, k")):
            lite.run(f"INSERT INTO {name} ({columns}) VALUES ('1', 'a'), ('2', 'a'), ('3', 'b')")
            table = lite.table(name, "k")
            before = lite.run(f"SELECT * FROM {name}")
            rows = remove(table)
            assert len(rows) == 1
            put_back(table, rows)
            assert lite.run(f"SELECT * FROM {name}") == before

    def test_partitions_are_one_table(self, post: Post) -> None:
        post.run("CREATE TABLE t (k TEXT, day INTEGER) PARTITION BY RANGE (day)")
        post.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
        post.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)")
        post.run("INSERT INTO t VALUES ('a', 1), ('a', 11), ('b', 1), ('c', 11)")
        table = post.table("t", "k", order_by="day")
        rows = remove(table)
        assert post.run("SELECT k, day FROM t ORDER BY 1") == [("a", 11), ("b", 1), ("c", 11)]
        put_back(table, rows)
        assert post.run("SELECT * FROM ONLY t1 ORDER BY 1") == [("a", 1), ("b", 1)]


class TestDangers:
    def of(self, table: SqlTable) -> str:
        with sql.reading(table) as found:
            return "; ".join(found.dangers())

    def test_none(self, either: Any) -> None:
        table = orders(either)
        either.run("CREATE TABLE lines (of INTEGER REFERENCES orders (id) ON DELETE RESTRICT)")
        assert self.of(table) == ""

    def test_rows_that_would_go_too(self, either: Any) -> None:
        table = orders(either)
        either.run("CREATE TABLE lines (of INTEGER REFERENCES orders (id) ON DELETE CASCADE)")
        assert self.of(table) == "rows of lines that refer to it would change too (ON DELETE CASCADE)"

    def test_a_table_of_another_schema_refers_to_it(self, post: Post) -> None:
        table = orders(post)
        post.run(f"CREATE SCHEMA {post.schema}_far")
        post.run(
            f"CREATE TABLE {post.schema}_far.lines (of INTEGER REFERENCES orders (id) ON DELETE SET NULL)"
        )
        assert "ON DELETE SET NULL" in self.of(table)
        post.run(f"DROP SCHEMA {post.schema}_far CASCADE")

    def test_triggers_on_what_we_do(self, lite: Lite, post: Post) -> None:
        tables = orders(lite), orders(post)
        body = "BEGIN UPDATE orders SET at = 0; END"
        lite.run(f"CREATE TRIGGER harmless AFTER UPDATE ON orders {body}")
        post.run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        post.run("CREATE TRIGGER harmless AFTER UPDATE ON orders EXECUTE FUNCTION f()")
        assert [self.of(table) for table in tables] == ["", ""]
        lite.run(f"CREATE TRIGGER loud AFTER DELETE ON orders {body}")
        post.run("CREATE TRIGGER loud AFTER DELETE ON orders EXECUTE FUNCTION f()")
        assert [self.of(table) for table in tables] == ["trigger loud acts when rows go or come"] * 2
