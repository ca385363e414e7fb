"""Run data validation and cleanup: broken CSV and Parquet files, mended as far as nobody has to guess."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.decision.plan import Plan
from app.remediation.strategies.run_data_validation_and_cleanup import (
    CleanupParams,
    RunDataValidationAndCleanup,
)
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NeedsHuman,
    NotApplicable,
    Receipt,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
)
from tests.doubles import only, register

COLUMNS = {
    "id": {"type": "integer", "unique": True},
    "price": {"type": "number", "minimum": 0},
    "paid": {"type": "boolean"},
    "day": {"type": "datetime"},
    "note": {"type": "text", "required": False},
}
BROKEN = (
    "id,price,paid,day,note,extra\n"
    "1,10,true,2024-01-01,a,NA\n"
    "2,11,YES,2024-01-01,,007\n"
    '3, 12 ,false,"Jan 2, 2024",x,\n'
    "4,NULL,true,2024-01-02,x,\n"
    '5,"1,013.0",,2024-01-03,x,\n'
    "6,oops,true,2024/01/01,x,\n"
    "6,oops,true,2024/01/01,x,\n"
    "7,-5,true,,x,\n"
)
MENDED = (
    "id,price,paid,day,note,extra\n"
    "1,10,true,2024-01-01,a,NA\n"
    "2,11,true,2024-01-01,,007\n"
    "3,12,false,2024-01-02,x,\n"
    "4,11,true,2024-01-02,x,\n"
    "5,{high},true,2024-01-03,x,\n"
    "6,11,true,2024-01-01,x,\n"
    "7,{low},true,2024-01-01,x,\n"
)
Make = Callable[..., tuple[RunDataValidationAndCleanup, Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


@pytest.fixture
def make(path: Path, tmp_path: Path) -> Make:
    def made(
        data: str | bytes | pa.Table = BROKEN, columns: dict[str, Any] | None = None, **params: Any
    ) -> Any:
        if isinstance(data, pa.Table):
            pq.write_table(data, path)
        else:
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        form = "parquet" if isinstance(data, pa.Table) else "csv"
        declared = COLUMNS if columns is None else columns
        targets = register(
            tmp_path, {"type": "file", "path": str(path), "format": form, "columns": declared}, name="orders"
        )
        strategy = RunDataValidationAndCleanup(targets)
        subject = Subject(incident_id="inc_1", type="data_corruption", target=only(targets))
        return strategy, strategy.plan(subject, CleanupParams(**params))

    return made


def run(strategy: RunDataValidationAndCleanup, plan: Plan, keep: Path) -> tuple[Snapshot, Receipt]:
    assert isinstance(plan, Plan), plan
    kept = strategy.snapshot(plan, keep)
    return kept, strategy.execute(plan, plan.steps[0], "k", kept)


def a(kind: str, **fields: Any) -> dict[str, Any]:
    return {"a": {"type": kind, **fields}}


def cells(*values: str) -> str:
    return "a,b\n" + "".join(f'"{value}",{n}\n' for n, value in enumerate(values))


class TestCsv:
    def test_every_change_is_counted_and_only_those_cells_change(
        self, make: Make, path: Path, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        # Prices once mended: 10, 11, 12, 1013, -5; filled with 11; quartiles of the five are 10 and 12.
        assert plan.steps[0].does["changes"] == [
            "price: 2 written as number",
            "price: 2 unreadable, made empty",
            "paid: 1 written as boolean",
            "day: 3 written as datetime",
            "drop 1 rows that repeat another",
            "price: 2 missing, filled with the median 11",
            "price: 1 capped to at least 7",
            "price: 1 capped to at most 15",
            "paid: 1 missing, filled with the most frequent value",
            "day: 1 missing, filled with the most frequent value",
        ]
        assert plan.summary.startswith(f"clean {path} (8 rows): price: 2 written as number; ")
        kept, receipt = run(strategy, plan, tmp_path / "keep")
        assert path.read_text() == MENDED.format(high=15, low=7)
        assert isinstance(strategy.verify(plan, [receipt]), Verified)
        assert isinstance(strategy.rollback(plan, kept, [receipt]), Undone)
        assert path.read_text() == BROKEN

    def test_its_form_stays(self, make: Make, path: Path, tmp_path: Path) -> None:
        data = b"\xef\xbb\xbfid,n\r\n1,007\r\n1,007\r\n2,1.10\r\n"
        path.write_bytes(data)
        path.chmod(0o604)
        strategy, plan = make(data, {"n": {"type": "number"}})
        run(strategy, plan, tmp_path)
        assert path.read_bytes() == b"\xef\xbb\xbfid,n\r\n1,007\r\n2,1.10\r\n"
        assert path.stat().st_mode & 0o777 == 0o604

    @pytest.mark.parametrize(
        ("data", "columns", "params", "change"),
        [
            (cells("1", "2", "", "3"), a("integer"), {}, "a: 1 missing, filled with the median 2"),
            (cells("1", "2", "", "4", "7"), a("integer"), {}, "a: 1 missing, filled with the median 3"),
            (cells("x", "y", "", "y"), a("text"), {}, "a: 1 missing, filled with the most frequent value"),
            (cells("1", "2", "3", "4", "9"), a("integer"), {}, "a: 1 capped to at most 7"),
            (cells("1", "2", "3", "4", "9"), a("integer"), {"iqr_factor": 2.0}, "a: 1 capped to at most 8"),
            (cells("1", "2", "3"), a("number", maximum=2.5), {}, "a: 1 capped to at most 2.5"),
            (cells("1.0", "2"), a("integer"), {}, "a: 1 written as integer"),
            ("a,b\n1,1\n1,1\n", a("integer"), {}, "drop 1 rows that repeat another"),
            ("a,b\n1.0,1\n1,1\n", a("integer"), {}, "drop 1 rows that repeat another"),
        ],
    )
    def test_one_change(
        self, make: Make, data: str, columns: dict[str, Any], params: dict[str, Any], change: str
    ) -> None:
        _, plan = make(data, columns, **params)
        assert plan.steps[0].does["changes"][-1] == change

    def test_what_is_switched_off_is_not_done(self, make: Make) -> None:
        off = dict.fromkeys(("fill_missing", "cap_outliers", "drop_duplicates", "mend_types"), False)
        for field, data, schema in (
            ("fill_missing", cells("1", "2", ""), a("integer")),
            ("mend_types", cells("1", "2.0"), a("integer")),
        ):
            assert isinstance(make(data, schema, **{**off, field: True})[1], Plan)
            _, refused = make(data, schema, **off)
            assert "would still not meet its schema: a: 1 values are" in refused.because
        for field, data, schema in (
            ("cap_outliers", cells("1", "2", "3", "4", "99"), a("integer")),
            ("drop_duplicates", "a\n1\n1\n", a("integer")),
        ):
            assert isinstance(make(data, schema, **{**off, field: True})[1], Plan)
            assert make(data, schema, **off)[1].because == "orders.csv is clean already"


class TestParquet:
    def test_types_are_mended_and_kept(self, make: Make, path: Path, tmp_path: Path) -> None:
        table = pa.table(
            {
                "id": pa.array([1.0, 2.0, 3.0, 4.0, 5.0]),
                "price": pa.array([Decimal(x) if x else None for x in ("1.10", "1.20", "", "1.30", "9.90")]),
                "paid": ["yes", None, "no", "yes", "1"],
                "day": ["2024-01-01", "2024/01/02", "2024-01-03", "2024-01-01", None],
                "extra": pa.array([b"\x00", None, None, None, None]),
            }
        ).replace_schema_metadata({"made_by": "loader"})
        strategy, plan = make(table, {**COLUMNS, "price": {"type": "number"}})
        before = path.read_bytes()
        kept, receipt = run(strategy, plan, tmp_path)
        found = pq.read_table(path)
        assert found.schema.metadata == {b"made_by": b"loader"}
        assert [str(field.type) for field in found.schema] == [
            "int64",
            "decimal128(3, 2)",
            "bool",
            "timestamp[us]",
            "binary",
        ]
        # Quartiles of 1.10, 1.20, 1.30, 9.90 are 1.175 and 3.45, so nothing over 6.8625 stays.
        assert found["price"].to_pylist() == [Decimal(x) for x in ("1.10", "1.20", "1.25", "1.30", "6.86")]
        assert found["paid"].to_pylist() == [True, True, False, True, True]
        assert found["day"].cast("string").to_pylist()[-1] == "2024-01-01 00:00:00.000000"
        assert isinstance(strategy.verify(plan, [receipt]), Verified)
        assert isinstance(strategy.rollback(plan, kept, [receipt]), Undone)
        assert path.read_bytes() == before

    def test_nan_is_missing(self, make: Make, path: Path, tmp_path: Path) -> None:
        strategy, plan = make(pa.table({"a": [1.0, float("nan"), 3.0]}), a("number"))
        run(strategy, plan, tmp_path)
        assert pq.read_table(path)["a"].to_pylist() == [1, 2, 3]


class TestRefuses:
    @pytest.mark.parametrize(
        ("data", "columns", "because"),
        [
            ("a\n1\n2\n", a("integer"), "clean already"),
            ("a,b\n1\n", a("integer"), "no readable csv"),
            (cells("03/04/2024", "2024-01-01"), a("datetime"), "a: 1 values can be read in several ways"),
            (cells("1,234", "2"), a("number"), "can be read in several ways"),
            (cells("12.5", "2"), a("integer"), "can be read in several ways"),
            (cells("1", "", ""), a("integer"), "67% of it is missing, too much to make up"),
            (
                cells("1", "", "2"),
                a("integer", unique=True),
                "would still not meet its schema: a: 1 values are missing",
            ),
            ("b\n1\n", a("integer"), "a: the column is not there"),
            ("b\n1\n1\n", a("integer"), "a: the column is not there"),
        ],
    )
    def test_each(self, make: Make, data: str, columns: dict[str, Any], because: str) -> None:
        _, refused = make(data, columns)
        assert isinstance(refused, NotApplicable)
        assert because in refused.because

    def test_columns_that_may_be_empty_or_are_unique_are_left_alone(self, make: Make) -> None:
        data = "id,a\n1,\n2,5\n3,5\n4,5\n900,5\n"
        columns = {"id": {"type": "integer", "unique": True}, **a("integer", required=False)}
        assert make(data, columns)[1].because == "orders.csv is clean already"


class TestActing:
    def test_a_file_that_changed_since_planning_is_left_alone(
        self, make: Make, path: Path, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        path.write_text(BROKEN + "9,1,true,2024-01-01,x,\n")
        changed = path.read_text()
        with pytest.raises(NeedsHuman, match="changed since the plan was made"):
            strategy.execute(plan, plan.steps[0], "k", kept)
        with pytest.raises(NeedsHuman, match="changed since the plan was made"):
            strategy.snapshot(plan, tmp_path / "other")
        assert isinstance(strategy.recall(plan, plan.steps[0], "k", kept), Unclear)
        assert isinstance(strategy.rollback(plan, kept, []), CannotUndo)
        assert path.read_text() == changed

    def test_without_its_backup_nothing_is_done(self, make: Make, path: Path, tmp_path: Path) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        Path(kept.data["copy"]).write_text("cut short")
        with pytest.raises(NeedsHuman, match="backup changed"):
            strategy.execute(plan, plan.steps[0], "k", kept)
        assert path.read_text() == BROKEN

    def test_a_change_by_others_after_ours_is_not_overwritten(
        self, make: Make, path: Path, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept, receipt = run(strategy, plan, tmp_path)
        path.write_text("id\n1\n")
        undone = strategy.rollback(plan, kept, [receipt])
        assert isinstance(undone, CannotUndo)
        assert kept.data["copy"] in undone.because

    def test_verify_names_the_columns(self, make: Make, path: Path, tmp_path: Path) -> None:
        strategy, plan = make()
        _, receipt = run(strategy, plan, tmp_path)
        path.write_text("id,price,paid,day\n1,-1,true,2024-01-01\n1,2,perhaps,2024-01-01\n")
        looked = strategy.verify(plan, [receipt])
        assert looked == Disproved(
            says="id: 1 values repeat; price: 1 values are outside of the range; paid: 1 values are not boolean"
        )
        path.unlink()
        assert isinstance(strategy.verify(plan, [receipt]), Disproved)
