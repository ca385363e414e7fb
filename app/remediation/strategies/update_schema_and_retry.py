"""Update schema and retry: adds the declared columns that a table lacks, then runs its job again.

Acts on: one table of a SQLite or Postgres database, registered as `table` with its `columns`, and with
         `rerun` where a job is to run again. Names and types come from the registration alone.
Risk:    high; programs that write rows without naming columns may trip over new ones.
Undo:    the added columns are dropped, if nothing stands in them but defaults, or what a run that failed
         wrote; that is kept in the backup first. What a run that succeeded or others wrote is not dropped.
Refuses: what adding cannot mend (another type, another rule for empty cells, a name in other letter case);
         a table of more than `most_rows` rows, which is locked while its old cells are summed up twice.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import orjson
from pydantic import Field

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.remediation import rerun
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    RetryLater,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
    connection_of,
    mark,
)
from app.systems import columns, files, sql
from app.systems.connections import HttpJob, SqlColumn, SqlTable
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, NotNow, Run, place
from app.systems.targets import Targets

_SOON = timedelta(seconds=5)


class SchemaParams(Record):
    """`most_rows`: a table with more of them is left to a person, for it is locked while they are summed twice."""

    most_rows: int = Field(500_000, ge=0, le=100_000_000)


class UpdateSchemaAndRetry:
    id: ClassVar[str] = "update_schema_and_retry"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.HIGH
    Params: ClassVar[type[Record]] = SchemaParams

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def plan(self, subject: Subject, params: SchemaParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, SqlTable):
            return NotApplicable(because="it changes tables, and the target is not registered as a table")
        connection = target.connection
        name, job = connection.table, connection.rerun
        if not connection.columns:
            return NotApplicable(because=f"no columns are declared for {name}: register `columns`")
        if job is not None and (missing := JobOverHttp(job).missing(subject.run_id)):
            return NotApplicable(because=missing)
        try:
            with sql.reading(connection) as table:
                found, total = columns.compare(table, connection.columns), table.total()
                shape = columns.digest(table)
            database = sql.database(connection)
        except FarSideError as error:
            return NotApplicable(because=error.says)
        if found.others:
            return NotApplicable(because=found.others[0])
        if not found.missing:
            return NotApplicable(because=f"{name} has every declared column")
        if total > params.most_rows:
            return NotApplicable(because=f"{name} has {total:,} rows, more than {params.most_rows:,}")
        added = {column: connection.columns[column] for column in found.missing}
        spoken = ", ".join(f"{column} ({_spoken(want)})" for column, want in added.items())
        common = {"connection": mark(connection)}
        does = {
            **common,
            "database": _hash(database),
            "add": {column: want.model_dump(mode="json") for column, want in added.items()},
            "shape": shape,
        }
        steps = [Step(index=0, says=f"add to {name}: {spoken}", does=does)]
        verify = f"{name} has every declared column"
        if job is not None:
            says = f"run the job of {name} again, by {place(job.run)}"
            steps.append(Step(index=1, says=says, does={**common, "run_id": subject.run_id}))
            verify += " and the new run of its job succeeded"
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary="; then ".join(step.says for step in steps),
            steps=tuple(steps),
            risk=self.risk,
            verify=verify,
            undo="drop the added columns, unless somebody else than a failed run wrote into them",
            within=rerun.LONGEST if job is not None and job.status else 30,
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        copy = keep / "schema.json"
        try:
            with sql.reading(self._connection(plan)) as table:
                if columns.digest(table) != plan.steps[0].does["shape"]:
                    raise NeedsHuman(_OTHER)
                kept = {
                    "table": table.name,
                    "columns": columns.described(table),
                    "sql": table.written_as(),
                }
        except FarSideError as error:
            raise NeedsHuman(error.says) from error
        try:
            files.backup(orjson.dumps(kept, option=orjson.OPT_INDENT_2), copy)
        except OSError as error:
            raise NeedsHuman(f"the backup cannot be written: {error.strerror}") from error
        says = f"the {len(kept['columns'])} columns are described in {copy}; no cell of them is changed"
        return Snapshot(data={"copy": str(copy)}, says=says)

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        connection = self._connection(plan)
        try:
            return (
                self._add(connection, plan, step, key) if "add" in step.does else self._run(plan, step, key)
            )
        except FarSideError as error:
            if error.again:  # even a commit whose answer was lost is safe: the next try looks first
                raise RetryLater(error.says, _SOON) from error
            raise NeedsHuman(error.says) from error

    def _add(self, connection: SqlTable, plan: Plan, step: Step, key: str) -> Receipt:
        """One transaction: added, the contract met, and every old cell as it was; or nothing."""
        added = _added(plan)
        with sql.writing(connection, alone=True) as table:
            if columns.marked(table, list(added), _mark(key)):
                return _receipt(step, key)
            if columns.digest(table) != step.does["shape"]:
                raise NeedsHuman(_OTHER)
            before = table.checksum(table.columns)
            columns.add(table, added, _mark(key))
            now = table.again()
            found = columns.compare(now, connection.columns)
            if not found.none:
                raise NeedsHuman(f"the columns did not come out as declared: {_first(found)}")
            if now.checksum(table.columns) != before:
                raise NeedsHuman("the cells that were there would have changed")
        return _receipt(step, key)

    def _run(self, plan: Plan, step: Step, key: str) -> Receipt:
        connection = self._connection(plan)
        with sql.reading(connection) as table:
            untouched = not columns.filled(table, _added(plan), most=1)
        try:
            begun = rerun.start(_job(connection), key, step.does["run_id"])
        except NotNow as error:
            return Receipt(step=step.index, data={"run": None}, says=f"the job did not begin: {error.says}")
        return _began(step, begun, untouched)

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """Adding is one transaction and leaves the step's mark: on all columns, or there are none."""
        try:
            connection = self._connection(plan)
            if "add" not in step.does:
                found = rerun.recall(_job(connection), key, step.does["run_id"])
                # What stood in the columns when it began is not known any more.
                return _began(step, found, untouched=False) if isinstance(found, rerun.Begun) else found
            with sql.reading(connection) as table:
                if columns.marked(table, list(_added(plan)), _mark(key)):
                    return _receipt(step, key)
                there = [name for name in _added(plan) if name in table.columns]
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)
        if there:
            return Unclear(because=f"somebody else added {', '.join(there)}")
        return NotDone()

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            connection = self._connection(plan)
            with sql.reading(connection) as table:
                found = columns.compare(table, connection.columns)
        except FarSideError as error:
            return Pending(says=error.says) if error.again else Disproved(says=error.says)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        if not found.none:
            return Disproved(says=_first(found))
        if len(plan.steps) == 1:
            return Verified(says=f"{connection.table} has every declared column")
        run = _run_of(receipts)
        if run is None:
            return Disproved(says="its job did not begin")
        return rerun.look(_job(connection), run, plan.steps[1].does["run_id"])

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        if not receipts:
            return Undone(says="no column was added")
        try:
            connection = self._connection(plan)
            failed, run = False, _run_of(receipts)
            if run is not None:
                seen = rerun.look(_job(connection), run, plan.steps[1].does["run_id"])
                if isinstance(seen, Pending):
                    return CannotUndo(because=f"{seen.says}; the run counts on the added columns")
                failed = isinstance(seen, Disproved) and receipts[1].data["untouched"]
            with sql.writing(connection, alone=True) as table:
                return _take_back(table, plan, Path(snapshot.data["copy"]), receipts[0].data, failed)
        except (FarSideError, NeedsHuman) as error:
            return CannotUndo(because=f"{error.says}; the former columns are in {snapshot.data['copy']}")
        except OSError as error:
            return CannotUndo(because=f"the backup cannot be written: {error.strerror}")

    def _connection(self, plan: Plan) -> SqlTable:
        """Raises NeedsHuman, also when the registered address now names another database."""
        connection = connection_of(self._targets, plan, SqlTable)
        if _hash(sql.database(connection)) != plan.steps[0].does["database"]:
            raise NeedsHuman(f"{plan.target} is in another database now than when the plan was made")
        return connection


_OTHER = "the table has other columns now than when the plan was made"


def _take_back(
    table: sql.Table, plan: Plan, copy: Path, added_by: dict[str, Any], failed: bool
) -> Undone | CannotUndo:
    """Drops the columns in the open transaction. `failed`: what stands in them, a failed run wrote."""
    added, written = _added(plan), copy.with_name("written-rows.jsonl")
    names = ", ".join(added)
    if any(name in table.columns for name in added):
        if not columns.marked(table, list(added), _mark(added_by["key"])):
            return CannotUndo(because=f"not all of {names} are those that were added; the rest is in {copy}")
        rows = columns.filled(table, added, sql.MOST_ROWS + 1)
        if rows and (not failed or len(rows) > sql.MOST_ROWS):
            return CannotUndo(
                because=f"{len(rows):,} rows hold something in {names} that would be lost; "
                f"the former columns are in {copy}"
            )
        if rows:
            files.backup(sql.dump(table, rows), written)
        columns.drop(table, list(added))
        if columns.digest(table.again()) != plan.steps[0].does["shape"]:
            raise NeedsHuman(f"without {names} the table would not be as it was")
    kept = f"; what the failed run wrote is kept in {written}" if written.exists() else ""
    return Undone(says=f"{names} are dropped again{kept}")


def _added(plan: Plan) -> dict[str, SqlColumn]:
    return {name: SqlColumn(**want) for name, want in plan.steps[0].does["add"].items()}


def _job(connection: SqlTable) -> HttpJob:
    if connection.rerun is None:
        raise NeedsHuman("no job is registered")
    return connection.rerun


def _run_of(receipts: Sequence[Receipt]) -> Run | None:
    """The run that was begun; None when none was."""
    run = next((receipt.data.get("run") for receipt in receipts if receipt.step == 1), None)
    return None if run is None else Run(**run)


def _mark(key: str) -> str:
    return f"added by Mendline {key}"


def _receipt(step: Step, key: str) -> Receipt:
    says = f"{', '.join(step.does['add'])} are added, and every cell that was there is unchanged"
    return Receipt(step=step.index, data={"key": key}, says=says)


def _began(step: Step, begun: rerun.Begun, untouched: bool) -> Receipt:
    data = {"run": begun.run.model_dump(), "untouched": untouched}
    return Receipt(step=step.index, data=data, says=begun.says)


def _first(found: columns.Difference) -> str:
    return found.others[0] if found.others else f"column {found.missing[0]} is not there"


def _spoken(want: SqlColumn) -> str:
    default = "" if want.default is None else f", default {want.default!r}"
    return f"{want.type}, {'may' if want.nullable else 'may not'} be empty{default}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
