"""Run deduplication script: repeating rows in real SQLite and Postgres tables."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.decision.plan import Plan
from app.remediation.strategies.run_deduplication_script import DeduplicationParams, RunDeduplicationScript
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    RetryLater,
    Subject,
    Unclear,
    Undone,
    Verified,
)
from tests.doubles import only, register

Run = Callable[..., list[tuple[Any, ...]]]
Make = Callable[..., tuple[RunDeduplicationScript, Any]]


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Run]]:
    """An address, and a way to look at what is there."""
    if request.param == "sqlite":
        lite = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
        yield f"sqlite:///{tmp_path / 'shop.db'}", lambda statement: lite.execute(statement).fetchall()
        lite.close()
        return
    url = request.getfixturevalue("postgres_url")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as post:

        def run(statement: str) -> list[tuple[Any, ...]]:
            done = post.execute(statement.encode())
            return done.fetchall() if done.description else []

        yield url, run
        run("DROP TABLE IF EXISTS orders, copies")


@pytest.fixture
def run(shop: tuple[str, Run]) -> Run:
    """The table: 20 rows, of which ids 2 to 4 repeat order 1 and two have none."""
    run = shop[1]
    run("CREATE TABLE orders (id INTEGER PRIMARY KEY, order_id INTEGER, note TEXT)")
    rows = [(n, 1 if n <= 4 else n, "'x'") for n in range(1, 19)] + [(19, "NULL", "'y'"), (20, "NULL", "'y'")]
    for row in rows:
        run(f"INSERT INTO orders VALUES ({row[0]}, {row[1]}, {row[2]})")
    return run


@pytest.fixture
def make(shop: tuple[str, Run], run: Run, tmp_path: Path) -> Make:
    def made(params: dict[str, Any] | None = None, **fields: Any) -> Any:
        address = {} if "url_file" in fields else {"url": shop[0]}
        connection = {"type": "table", **address, "table": "orders", "key": ["order_id"], **fields}
        targets = register(tmp_path, connection, name="orders")
        strategy = RunDeduplicationScript(targets)
        subject = Subject(incident_id="inc_1", type="data_duplication", target=only(targets))
        return strategy, strategy.plan(subject, DeduplicationParams(**(params or {})))

    return made


def act(strategy: RunDeduplicationScript, plan: Plan, keep: Path) -> tuple[Any, Receipt]:
    assert isinstance(plan, Plan), plan
    kept = strategy.snapshot(plan, keep)
    return kept, strategy.execute(plan, plan.steps[0], "k", kept)


class TestPlan:
    def test_what_a_person_reads_at_night(self, make: Make) -> None:
        _, plan = make()
        assert (
            plan.summary
            == "remove 3 of 20 rows of orders that repeat (order_id); keep the last of each, by id"
        )
        assert (plan.steps[0].does["rows"], plan.steps[0].does["groups"]) == (3, 1)

    def test_a_large_table_may_grow_without_another_plan(
        self, make: Make, shop: tuple[str, Run], run: Run
    ) -> None:
        more = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
        run(
            f"{more} INSERT INTO orders SELECT i, i, 'z' FROM n"
            if "sqlite" in shop[0]
            else "INSERT INTO orders SELECT i, i, 'z' FROM generate_series(100, 12000) i"
        )
        _, before = make()
        run("INSERT INTO orders VALUES (20000, 20000, 'new')")
        _, after = make()
        assert "remove 3 of about 12,000 rows" in before.summary
        assert before.hash == after.hash

    def test_other_rows_make_another_plan(self, make: Make, run: Run) -> None:
        _, before = make()
        run("UPDATE orders SET note = 'z' WHERE id = 2")
        assert make()[1].hash != before.hash

    @pytest.mark.parametrize(
        ("params", "fields", "because"),
        [
            ({"most_share": 0.1}, {}, "3 of 20 rows repeat, a greater share than 0.1"),
            ({}, {"key": ["order_id", "id"]}, "no rows of orders repeat (order_id, id)"),
            ({}, {"key": ["nothing"]}, "table orders has no column nothing"),
            ({}, {"table": "nothing"}, "there is no table nothing"),
        ],
    )
    def test_refuses(self, make: Make, params: dict[str, Any], fields: dict[str, Any], because: str) -> None:
        _, refused = make(params, **fields)
        assert refused == NotApplicable(because=because)

    def test_a_table_that_others_follow(self, make: Make, run: Run) -> None:
        run("CREATE TABLE copies (of INTEGER REFERENCES orders (id) ON DELETE CASCADE)")
        _, refused = make()
        assert "ON DELETE CASCADE" in refused.because

    def test_a_database_that_is_away(self, make: Make, tmp_path: Path) -> None:
        address = tmp_path / "address"
        address.write_text("postgresql://u:hidden@127.0.0.1:1/d\n")
        _, refused = make(url_file=str(address))
        assert refused.because.startswith("the database says")
        assert "hidden" not in refused.because


class TestActing:
    @pytest.mark.parametrize(("keep", "stays"), [("last", 4), ("first", 1)])
    def test_there_and_back(self, make: Make, run: Run, tmp_path: Path, keep: str, stays: int) -> None:
        before = run("SELECT * FROM orders ORDER BY id")
        strategy, plan = make({"keep": keep})
        kept, receipt = act(strategy, plan, tmp_path / "keep")
        assert run("SELECT id FROM orders WHERE order_id = 1") == [(stays,)]
        assert len(run("SELECT * FROM orders")) == 17
        assert strategy.verify(plan, [receipt]) == Verified(says="none of 17 rows repeat")
        first = strategy.rollback(plan, kept, [receipt])
        assert first == Undone(says="the 3 removed rows are in the table again")
        assert strategy.rollback(plan, kept, [receipt]) == first
        assert run("SELECT * FROM orders ORDER BY id") == before
        assert isinstance(strategy.verify(plan, [receipt]), Disproved)

    def test_a_table_without_a_primary_key(self, make: Make, run: Run, tmp_path: Path) -> None:
        run("CREATE TABLE copies (k TEXT, v TEXT)")
        run("INSERT INTO copies VALUES ('a', 'x'), ('a', 'x'), ('a', 'x'), ('b', 'y'), ('c', 'y')")
        strategy, plan = make(table="copies", key=["k"])
        kept, receipt = act(strategy, plan, tmp_path / "keep")
        assert isinstance(strategy.recall(plan, plan.steps[0], "k", kept), Receipt)
        assert len(run("SELECT * FROM copies")) == 3
        strategy.execute(plan, plan.steps[0], "k", kept)
        assert len(run("SELECT * FROM copies")) == 3
        for _ in range(2):
            assert isinstance(strategy.rollback(plan, kept, [receipt]), Undone)
            assert len(run("SELECT * FROM copies WHERE k = 'a'")) == 3
        assert strategy.recall(plan, plan.steps[0], "k", kept) == NotDone()

    def test_the_backup_is_ours_alone_and_whole(self, make: Make, run: Run, tmp_path: Path) -> None:
        strategy, plan = make()
        kept, receipt = act(strategy, plan, tmp_path / "keep")
        copy = Path(kept.data["copy"])
        assert copy.stat().st_mode & 0o777 == 0o600
        assert len(copy.read_text().splitlines()) == 4
        assert strategy.snapshot(plan, tmp_path / "keep") == kept
        copy.write_text("cut short")
        undone = strategy.rollback(plan, kept, [receipt])
        assert isinstance(undone, CannotUndo)
        with pytest.raises(NeedsHuman, match="gone or was changed"):
            strategy.execute(plan, plan.steps[0], "k", kept)

    def test_rows_that_changed_since_are_left_alone(self, make: Make, run: Run, tmp_path: Path) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        run("UPDATE orders SET note = 'changed' WHERE id = 2")
        with pytest.raises(NeedsHuman, match="no longer those"):
            strategy.execute(plan, plan.steps[0], "k", kept)
        with pytest.raises(NeedsHuman, match="other rows repeat now"):
            strategy.snapshot(plan, tmp_path / "again")
        assert len(run("SELECT * FROM orders")) == 20

    def test_some_gone_and_some_not_is_unclear(self, make: Make, run: Run, tmp_path: Path) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        run("DELETE FROM orders WHERE id = 2")
        recalled = strategy.recall(plan, plan.steps[0], "k", kept)
        assert recalled == Unclear(because="2 of 3 rows are still there")
        told = Receipt(step=0, says="")
        assert isinstance(strategy.rollback(plan, kept, [told]), CannotUndo)

    def test_a_row_that_took_the_place_is_not_overwritten(self, make: Make, run: Run, tmp_path: Path) -> None:
        strategy, plan = make()
        kept, receipt = act(strategy, plan, tmp_path)
        run("CREATE UNIQUE INDEX one_each ON orders (order_id)")
        undone = strategy.rollback(plan, kept, [receipt])
        assert isinstance(undone, CannotUndo)
        assert kept.data["copy"] in undone.because
        assert len(run("SELECT * FROM orders")) == 17

    def test_a_writer_in_the_way_is_waited_for(
        self, make: Make, shop: tuple[str, Run], run: Run, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        run("BEGIN")
        run("UPDATE orders SET note = 'x' WHERE id = 18")
        with pytest.raises(RetryLater):
            strategy.execute(plan, plan.steps[0], "k", kept)
        run("COMMIT")
        assert isinstance(strategy.execute(plan, plan.steps[0], "k", kept), Receipt)

    def test_another_database_under_the_same_name(
        self, make: Make, shop: tuple[str, Run], tmp_path: Path
    ) -> None:
        address = tmp_path / "address"
        address.write_text(shop[0])
        strategy, plan = make(url_file=str(address))
        kept, receipt = act(strategy, plan, tmp_path / "keep")
        address.write_text("postgresql://u:hidden@127.0.0.1:1/d")
        undone = strategy.rollback(plan, kept, [receipt])
        assert isinstance(undone, CannotUndo)
        assert "another database" in undone.because
        assert isinstance(strategy.verify(plan, [receipt]), Disproved)
        assert isinstance(strategy.recall(plan, plan.steps[0], "k", kept), Unclear)

    def test_a_database_that_is_away_leaves_it_pending(
        self, make: Make, shop: tuple[str, Run], run: Run, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        _, receipt = act(strategy, plan, tmp_path)
        if "sqlite" not in shop[0]:
            pytest.skip("the server is shared; a busy file shows the same")
        run("BEGIN EXCLUSIVE")
        assert isinstance(strategy.verify(plan, [receipt]), Pending)
        run("ROLLBACK")
        os.unlink(tmp_path / "shop.db")
        assert isinstance(strategy.verify(plan, [receipt]), Disproved)
