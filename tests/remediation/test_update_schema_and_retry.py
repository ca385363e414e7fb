"""Update schema and retry: real SQLite and Postgres tables that lack columns, and a job that needs them."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.decision.plan import Plan
from app.remediation.strategies.update_schema_and_retry import SchemaParams, UpdateSchemaAndRetry
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
from tests.doubles import JobServer, only, register

Run = Callable[..., list[tuple[Any, ...]]]
Make = Callable[..., tuple[UpdateSchemaAndRetry, Any]]

COLUMNS = {
    "id": {"type": "integer"},
    "note": {"type": "text"},
    "tier": {"type": "text", "nullable": False, "default": "none"},
    "discount": {"type": "number"},
}


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Run]]:
    """An address, and a way to look at what is there. The table has two of the four columns."""
    if request.param == "sqlite":
        lite = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
        url, close = f"sqlite:///{tmp_path / 'shop.db'}", lite.close

        def run(statement: str) -> list[tuple[Any, ...]]:
            return lite.execute(statement).fetchall()
    else:
        url = request.getfixturevalue("postgres_url")
        post = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        close = post.close

        def run(statement: str) -> list[tuple[Any, ...]]:
            done = post.execute(statement.encode())
            return done.fetchall() if done.description else []

    # No primary key: SQLite and Postgres differ in whether that may be empty.
    run("CREATE TABLE stock (id BIGINT, note TEXT)")
    run("INSERT INTO stock VALUES (1, 'a'), (2, NULL), (3, 'c')")
    yield url, run
    run("DROP TABLE stock")
    close()


@pytest.fixture
def run(shop: tuple[str, Run]) -> Run:
    return shop[1]


@pytest.fixture
def make(shop: tuple[str, Run], tmp_path: Path) -> Make:
    def made(params: dict[str, Any] | None = None, run_id: str = "", **fields: Any) -> Any:
        address = {} if "url_file" in fields else {"url": shop[0]}
        connection = {
            "type": "table",
            **address,
            "table": "stock",
            "key": ["id"],
            "columns": COLUMNS,
            **fields,
        }
        targets = register(tmp_path, connection, name="stock")
        strategy = UpdateSchemaAndRetry(targets)
        subject = Subject(incident_id="inc_1", type="schema_mismatch", run_id=run_id, target=only(targets))
        return strategy, strategy.plan(subject, SchemaParams(**(params or {})))

    return made


def act(strategy: UpdateSchemaAndRetry, plan: Plan, keep: Path) -> tuple[Any, list[Receipt]]:
    """Every step, each with a key of its own."""
    assert isinstance(plan, Plan), plan
    kept = strategy.snapshot(plan, keep)
    return kept, [strategy.execute(plan, step, f"key_{step.index}", kept) for step in plan.steps]


class TestPlan:
    def test_what_a_person_reads_at_night(self, make: Make, jobs: JobServer) -> None:
        _, plan = make(rerun=jobs.job())
        assert plan.summary.startswith(
            "add to stock: tier (text, may not be empty, default 'none'), discount (number, may be empty); "
            "then run the job of stock again, by 127.0.0.1:"
        )
        assert len(plan.steps) == 2
        assert len(make()[1].steps) == 1

    def test_a_row_that_comes_meanwhile_is_no_other_plan(self, make: Make, run: Run) -> None:
        first = make()[1].hash
        run("INSERT INTO stock VALUES (4, 'd')")
        assert make()[1].hash == first
        run("ALTER TABLE stock ADD other TEXT")
        assert make()[1].hash != first

    @pytest.mark.parametrize(
        ("params", "fields", "because"),
        [
            ({}, {"columns": {}}, "no columns are declared for stock: register `columns`"),
            ({}, {"columns": {"id": {"type": "integer"}}}, "stock has every declared column"),
            ({"most_rows": 2}, {}, "stock has 3 rows, more than 2"),
            (
                {},
                {"columns": {**COLUMNS, "note": {"type": "number"}}},
                "column note is TEXT and is declared as number: changing a type is no addition",
            ),
            ({}, {"table": "nothing"}, "there is no table nothing"),
            (
                {},
                {"rerun": {"type": "http_job", "run": "http://127.0.0.1:1/{run_id}"}},
                "the event named no run, and the job is asked for by its run",
            ),
        ],
    )
    def test_refuses(self, make: Make, params: dict[str, Any], fields: dict[str, Any], because: str) -> None:
        assert make(params, **fields)[1] == NotApplicable(because=because)


class TestActing:
    def test_there_and_back(self, make: Make, run: Run, jobs: JobServer, tmp_path: Path) -> None:
        jobs.status = "running"
        strategy, plan = make(rerun=jobs.job())
        kept, receipts = act(strategy, plan, tmp_path / "keep")
        assert sorted(run("SELECT id, tier, discount FROM stock")) == [(n, "none", None) for n in (1, 2, 3)]
        assert isinstance(strategy.verify(plan, receipts), Pending)
        undone = strategy.rollback(plan, kept, receipts)
        assert undone == CannotUndo(because="run run-1 is under way; the run counts on the added columns")
        jobs.status = "succeeded"
        assert strategy.verify(plan, receipts) == Verified(says="run run-1 succeeded")
        for _ in range(2):
            assert strategy.rollback(plan, kept, receipts) == Undone(says="tier, discount are dropped again")
        assert sorted(run("SELECT * FROM stock")) == [(1, "a"), (2, None), (3, "c")]
        assert strategy.verify(plan, receipts) == Disproved(says="column tier is not there")

    def test_without_a_job_the_contract_is_the_signal(self, make: Make, tmp_path: Path) -> None:
        strategy, plan = make()
        kept, receipts = act(strategy, plan, tmp_path)
        assert strategy.verify(plan, receipts) == Verified(says="stock has every declared column")
        again = strategy.execute(plan, plan.steps[0], "key_0", kept)
        assert again == receipts[0]

    def test_what_a_failed_run_wrote_is_kept_and_dropped(
        self, make: Make, run: Run, jobs: JobServer, tmp_path: Path
    ) -> None:
        jobs.fail = 1
        strategy, plan = make(rerun=jobs.job())
        kept, receipts = act(strategy, plan, tmp_path / "keep")
        run("INSERT INTO stock (id, note, tier, discount) VALUES (4, 'd', 'gold', 0.5)")
        assert strategy.verify(plan, receipts) == Disproved(says="run run-1 failed")
        first = strategy.rollback(plan, kept, receipts)
        assert isinstance(first, Undone)
        assert strategy.rollback(plan, kept, receipts) == first
        written = tmp_path / "keep" / "written-rows.jsonl"
        assert str(written) in first.says
        assert '"gold"' in written.read_text()
        assert len(run("SELECT * FROM stock")) == 4

    @pytest.mark.parametrize("how", ["run succeeded", "no run", "before the run", "after a crash"])
    def test_what_others_may_have_written_is_not_dropped(
        self, make: Make, run: Run, jobs: JobServer, tmp_path: Path, how: str
    ) -> None:
        jobs.fail = 0 if how == "run succeeded" else 1
        strategy, plan = make() if how == "no run" else make(rerun=jobs.job())
        kept = strategy.snapshot(plan, tmp_path / "keep")
        receipts = [strategy.execute(plan, plan.steps[0], "key_0", kept)]
        write = "UPDATE stock SET tier = 'gold' WHERE id = 1"
        if how == "before the run":
            run(write)
        if how != "no run":
            receipts.append(strategy.execute(plan, plan.steps[1], "key_1", kept))
        if how == "after a crash":
            recalled = strategy.recall(plan, plan.steps[1], "key_1", kept)
            assert isinstance(recalled, Receipt)
            receipts[1] = recalled
        run(write)
        undone = strategy.rollback(plan, kept, receipts)
        assert isinstance(undone, CannotUndo)
        assert undone.because.startswith("1 rows hold something in tier, discount that would be lost")
        assert kept.data["copy"] in undone.because
        assert run("SELECT tier FROM stock WHERE id = 1") == [("gold",)]

    def test_columns_that_somebody_else_added_are_not_ours(
        self, make: Make, run: Run, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        assert strategy.recall(plan, plan.steps[0], "key_0", kept) == NotDone()
        run("ALTER TABLE stock ADD tier TEXT DEFAULT 'none' NOT NULL")
        run("ALTER TABLE stock ADD discount DOUBLE PRECISION")
        with pytest.raises(NeedsHuman, match="other columns now"):
            strategy.execute(plan, plan.steps[0], "key_0", kept)
        with pytest.raises(NeedsHuman, match="other columns now"):
            strategy.snapshot(plan, tmp_path)
        recalled = strategy.recall(plan, plan.steps[0], "key_0", kept)
        assert recalled == Unclear(because="somebody else added tier, discount")
        told = Receipt(step=0, data={"key": "key_0"}, says="")
        assert isinstance(strategy.rollback(plan, kept, [told]), CannotUndo)
        assert len(run("SELECT * FROM stock")[0]) == 4

    def test_recall_knows_its_own(self, make: Make, jobs: JobServer, tmp_path: Path) -> None:
        strategy, plan = make(rerun=jobs.job())
        kept, receipts = act(strategy, plan, tmp_path)
        assert strategy.recall(plan, plan.steps[0], "key_0", kept) == receipts[0]
        assert isinstance(strategy.recall(plan, plan.steps[0], "key_9", kept), Unclear)
        found = strategy.recall(plan, plan.steps[1], "key_1", kept)
        assert isinstance(found, Receipt)
        assert found.data["run"]["id"] == "run-1"
        assert strategy.recall(plan, plan.steps[1], "key_9", kept) == NotDone()

    def test_a_view_in_the_way_of_dropping(self, make: Make, run: Run, tmp_path: Path) -> None:
        strategy, plan = make()
        kept, receipts = act(strategy, plan, tmp_path)
        run("CREATE VIEW tiers AS SELECT tier FROM stock")
        undone = strategy.rollback(plan, kept, receipts)
        run("DROP VIEW tiers")
        assert isinstance(undone, CannotUndo)
        assert undone.because.startswith("the database says")
        assert len(run("SELECT * FROM stock")[0]) == 4

    def test_a_job_that_cannot_begin_is_no_help(self, make: Make, jobs: JobServer, tmp_path: Path) -> None:
        jobs.replies = [(503, {})]
        strategy, plan = make(rerun=jobs.job())
        kept, receipts = act(strategy, plan, tmp_path)
        assert strategy.verify(plan, receipts) == Disproved(says="its job did not begin")
        assert isinstance(strategy.rollback(plan, kept, receipts), Undone)
        assert jobs.acted == 0

    def test_others_in_the_way_are_waited_for(
        self, make: Make, shop: tuple[str, Run], run: Run, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        run("BEGIN")
        run("UPDATE stock SET note = 'x' WHERE id = 1")
        with pytest.raises(RetryLater):
            strategy.execute(plan, plan.steps[0], "key_0", kept)
        run("COMMIT")
        assert isinstance(strategy.execute(plan, plan.steps[0], "key_0", kept), Receipt)

    def test_another_database_under_the_same_name(
        self, make: Make, shop: tuple[str, Run], tmp_path: Path
    ) -> None:
        address = tmp_path / "address"
        address.write_text(shop[0])
        strategy, plan = make(url_file=str(address))
        kept, receipts = act(strategy, plan, tmp_path / "keep")
        address.write_text("postgresql://u:hidden@127.0.0.1:1/d")
        undone = strategy.rollback(plan, kept, receipts)
        assert isinstance(undone, CannotUndo)
        assert "another database" in undone.because
        assert isinstance(strategy.verify(plan, receipts), Disproved)
        assert isinstance(strategy.recall(plan, plan.steps[0], "key_0", kept), Unclear)
