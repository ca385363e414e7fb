"""Run deduplication script: removes the rows of a table that share a declared key, but for one of each.

Acts on: one table of a SQLite or Postgres database, registered as `table` with its key.
Risk:    medium.
Undo:    the removed rows are put back from the backup.
Refuses: a key that is not there or a share of repeats over `most_share`; rows with NULL in the key
         never repeat; a table where removing rows does more than that (triggers, cascades); a
         table that cannot tell which row of a group is the last.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
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
from app.systems import files, sql
from app.systems.connections import SqlTable
from app.systems.far_side import FarSideError
from app.systems.sql import Row
from app.systems.targets import Targets

_SOON = timedelta(seconds=5)


class DeduplicationParams(Record):
    """`most_share`: of all rows, how many may go at most, 0 to 1."""

    keep: Literal["first", "last"] = "last"
    most_share: float = Field(0.5, ge=0, le=1)


class RunDeduplicationScript:
    id: ClassVar[str] = "run_deduplication_script"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.MEDIUM
    Params: ClassVar[type[Record]] = DeduplicationParams

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def plan(self, subject: Subject, params: DeduplicationParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, SqlTable):
            return NotApplicable(because="it cleans tables, and the target is not registered as a table")
        connection = target.connection
        try:
            with sql.reading(connection) as table:
                found, dangers, order = table.repeats(params.keep), table.dangers(), table.order
                digest = _digest(table, found.rows)
            place = sql.database(connection)
        except FarSideError as error:
            return NotApplicable(because=error.says)
        many = len(found.rows)
        key = ", ".join(connection.key)
        if not many:
            return NotApplicable(because=f"no rows of {connection.table} repeat ({key})")
        if dangers:
            return NotApplicable(because=dangers[0])
        if many > params.most_share * found.total:
            share = f"{many:,} of {found.total:,} rows"
            return NotApplicable(because=f"{share} repeat, a greater share than {params.most_share:g}")
        kept = f"keep the {params.keep} of each" + (f", by {order}" if order else "; they are all alike")
        says = (
            f"remove {many:,} of {_about(found.total)} rows of {connection.table} that repeat ({key}); {kept}"
        )
        does = {
            "connection": mark(connection),
            "database": _hash(place.encode()),
            "keep": params.keep,
            "rows": many,
            "groups": found.groups,
            "sha256": digest,
        }
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=says,
            steps=(Step(index=0, says=says, does=does),),
            risk=self.risk,
            verify=f"no rows of {connection.table} repeat ({key})",
            undo="put the removed rows back from the backup",
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        does = plan.steps[0].does
        copy = keep / "removed-rows.jsonl"
        data = {"copy": str(copy), "sha256": does["sha256"]}
        says = f"{does['rows']:,} rows are kept in {copy}"
        if files.sha256(copy) == does["sha256"]:
            return Snapshot(data=data, says=says)
        try:
            connection = self._connection(plan)
            with sql.reading(connection) as table:
                dumped = sql.dump(table, table.repeats(does["keep"]).rows)
        except FarSideError as error:
            raise NeedsHuman(error.says) from error
        if hashlib.sha256(dumped).hexdigest() != does["sha256"]:
            raise NeedsHuman("other rows repeat now than when the plan was made")
        try:
            files.backup(dumped, copy)
        except OSError as error:
            raise NeedsHuman(f"the backup cannot be written: {error.strerror}") from error
        return Snapshot(data=data, says=says)

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        rows, keep = _kept(snapshot), step.does["keep"]
        try:
            with sql.writing(self._connection(plan)) as table:
                if table.present(keep, rows):
                    table.remove(keep, rows)
        except FarSideError as error:
            if error.again:  # even a commit whose answer was lost is safe: the next try looks first
                raise RetryLater(error.says, _SOON) from error
            raise NeedsHuman(error.says) from error
        return _receipt(step)

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """The removal is one transaction, so the rows themselves tell: all there, or none."""
        try:
            rows = _kept(snapshot)
            with sql.reading(self._connection(plan)) as table:
                there = table.present(step.does["keep"], rows)
        except (FarSideError, NeedsHuman) as error:
            return Unclear(because=error.says)
        if there == len(rows):
            return NotDone()
        return (
            _receipt(step)
            if there == 0
            else Unclear(because=f"{there:,} of {len(rows):,} rows are still there")
        )

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            with sql.reading(self._connection(plan)) as table:
                found = table.repeats(plan.steps[0].does["keep"])
        except FarSideError as error:
            return Pending(says=error.says) if error.again else Disproved(says=error.says)
        except NeedsHuman as error:
            return Disproved(says=error.says)
        if found.rows:
            return Disproved(says=f"{len(found.rows):,} rows repeat, in {found.groups:,} groups")
        return Verified(says=f"none of {found.total:,} rows repeat")

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        if not receipts:
            return Undone(says="no row was removed")
        try:
            rows = _kept(snapshot)
            with sql.writing(self._connection(plan)) as table:
                there = table.present(plan.steps[0].does["keep"], rows)
                if there not in (0, len(rows)):
                    return CannotUndo(because=f"{there:,} of the {len(rows):,} removed rows are there again")
                if not there:
                    table.put_back(rows)
        except (FarSideError, NeedsHuman) as error:
            return CannotUndo(because=f"{error.says}; the rows are kept in {snapshot.data['copy']}")
        return Undone(says=f"the {len(rows):,} removed rows are in the table again")

    def _connection(self, plan: Plan) -> SqlTable:
        """Raises NeedsHuman, also when the registered address now names another database."""
        connection = connection_of(self._targets, plan, SqlTable)
        if _hash(sql.database(connection).encode()) != plan.steps[0].does["database"]:
            raise NeedsHuman(f"{plan.target} is in another database now than when the plan was made")
        return connection


def _kept(snapshot: Snapshot) -> tuple[Row, ...]:
    copy = Path(snapshot.data["copy"])
    if files.sha256(copy) != snapshot.data["sha256"]:
        raise NeedsHuman(f"the backup {copy} is gone or was changed")
    return sql.load(copy.read_bytes())


def _receipt(step: Step) -> Receipt:
    return Receipt(
        step=step.index, data={"rows": step.does["rows"]}, says=f"{step.does['rows']:,} rows are removed"
    )


def _about(total: int) -> str:
    """Two digits of a large number: a row that arrives meanwhile must not void an approval."""
    if total < 10_000:
        return f"{total:,}"
    return f"about {round(total, 2 - len(str(total))):,}"


def _digest(table: sql.Table, rows: Sequence[Row]) -> str:
    return _hash(sql.dump(table, rows))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
