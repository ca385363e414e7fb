"""Run data validation and cleanup: mends a CSV or Parquet file until it meets its declared schema.

Acts on: one file, registered as `file` with its columns; columns that are not declared stay as they are.
Risk:    medium; filled and capped values are made up, as counted in the plan.
Undo:    the file is restored from the backup, byte for byte.
Refuses: a file that is clean, unreadable, or would still miss its schema afterwards; values that could
         be meant in several ways ("03/04/24"); a column of which most would be made up.

Missing numbers become the median, others the most frequent value, where a value is required. Numbers
further than `iqr_factor` interquartile ranges from the middle half (Tukey, 1977) are capped there, and
at the declared range. Unique columns are neither filled nor capped.
"""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
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
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
    connection_of,
    mark,
)
from app.systems import files
from app.systems.connections import Column, DataFile
from app.systems.far_side import FarSideError
from app.systems.files import Contents, Mask
from app.systems.targets import Targets

_MOST_MADE_UP = 0.5  # of a column's values
_FEWEST = 4  # numbers below which quartiles say nothing


class CleanupParams(Record):
    """`iqr_factor`: interquartile ranges beyond the quartiles at which a number counts as an outlier."""

    fill_missing: bool = True
    cap_outliers: bool = True
    drop_duplicates: bool = True
    mend_types: bool = True
    iqr_factor: float = Field(1.5, ge=1, le=5)


class RunDataValidationAndCleanup:
    id: ClassVar[str] = "run_data_validation_and_cleanup"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.MEDIUM
    Params: ClassVar[type[Record]] = CleanupParams

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def plan(self, subject: Subject, params: CleanupParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, DataFile):
            return NotApplicable(because="it cleans files, and the target is not registered as a file")
        file = target.connection
        try:
            before = files.read(file)
            cleaning = _Cleaning(before, file.columns, params)
            after = files.render(before, cleaning.frame)
        except FarSideError as error:
            return NotApplicable(because=f"{file.path.name}: {error.says}")
        left = files.problems(dataclasses.replace(before, frame=cleaning.frame), file.columns)
        if left:
            return NotApplicable(
                because=f"{file.path.name} would still not meet its schema: {'; '.join(left)}"
            )
        if not cleaning.changes:
            return NotApplicable(because=f"{file.path.name} is clean already")
        rows = len(before.frame)
        says = f"clean {file.path} ({rows:,} rows): {'; '.join(cleaning.changes)}"
        does = {
            "connection": mark(file),
            "path": str(file.path),
            "sha256": before.sha256,
            "becomes": hashlib.sha256(after).hexdigest(),
            "changes": list(cleaning.changes),
        }
        return Plan(
            strategy=self.id,
            version=self.version,
            target=target.key,
            params=params.model_dump(mode="json"),
            summary=says,
            steps=(Step(index=0, says=says, does=does),),
            risk=self.risk,
            verify=f"{file.path.name} meets its declared schema",
            undo="restore the file from the backup, byte for byte",
        )

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        does = plan.steps[0].does
        path = Path(does["path"])
        copy = keep / f"{path.name}.before"
        if files.sha256(copy) != does["sha256"]:
            try:
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() != does["sha256"]:
                    raise NeedsHuman(f"{path.name} changed since the plan was made")
                files.backup(data, copy)
            except OSError as error:
                raise NeedsHuman(f"the backup cannot be written: {error.strerror}") from error
        return Snapshot(data={"copy": str(copy), "sha256": does["sha256"]}, says=f"a copy is in {copy}")

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        file = connection_of(self._targets, plan, DataFile)
        now = files.sha256(file.path)
        if now == step.does["becomes"]:
            return _receipt(step)
        if now != step.does["sha256"] or files.sha256(Path(snapshot.data["copy"])) != now:
            raise NeedsHuman(f"{file.path.name} or its backup changed since the plan was made")
        try:
            before = files.read(file)
            cleaning = _Cleaning(before, file.columns, CleanupParams(**plan.params))
            after = files.render(before, cleaning.frame)
            if hashlib.sha256(after).hexdigest() != step.does["becomes"]:
                raise NeedsHuman("cleaning gives another result now than when the plan was made")
            files.replace(file.path, after, file.path.stat())
        except FarSideError as error:
            raise NeedsHuman(error.says) from error
        except OSError as error:
            raise NeedsHuman(f"{file.path.name} cannot be replaced: {error.strerror}") from error
        return _receipt(step)

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        now = files.sha256(Path(step.does["path"]))
        if now == step.does["becomes"]:
            return _receipt(step)
        return NotDone() if now == step.does["sha256"] else Unclear(because="somebody else changed the file")

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        try:
            file = connection_of(self._targets, plan, DataFile)
            left = files.problems(files.read(file), file.columns)
        except (FarSideError, NeedsHuman) as error:
            return Disproved(says=error.says)
        if left:
            return Disproved(says="; ".join(left))
        return Verified(says=f"{file.path.name} meets its declared schema")

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        does, copy = plan.steps[0].does, Path(snapshot.data["copy"])
        path = Path(does["path"])
        now = files.sha256(path)
        if now == does["sha256"]:
            return Undone(says=f"{path.name} is as it was, byte for byte")
        try:
            data = copy.read_bytes()
            if now != does["becomes"]:
                return CannotUndo(
                    because=f"{path.name} was changed by somebody else; the former one is {copy}"
                )
            if hashlib.sha256(data).hexdigest() != snapshot.data["sha256"]:
                return CannotUndo(because=f"the backup {copy} was changed")
            files.replace(path, data, path.stat())
        except OSError as error:
            return CannotUndo(because=f"{path.name} cannot be restored from {copy}: {error.strerror}")
        return Undone(says=f"{path.name} is as it was, byte for byte")


def _receipt(step: Step) -> Receipt:
    return Receipt(step=step.index, says=f"replaced {step.does['path']}: {'; '.join(step.does['changes'])}")


class _Cleaning:
    """The cleaned frame and what was changed, in words. Raises FarSideError where it would be guessing."""

    def __init__(self, contents: Contents, columns: dict[str, Column], params: CleanupParams) -> None:
        self.changes: list[str] = []
        self.frame = contents.frame.copy()
        declared = {name: want for name, want in columns.items() if name in self.frame}
        gaps: dict[str, Mask] = {}
        for name, want in declared.items():
            reading = files.read_column(contents, name, want.type)
            gaps[name] = reading.missing
            if not params.mend_types:
                continue
            if reading.doubtful.any():
                raise FarSideError(
                    f"{name}: {int(reading.doubtful.sum()):,} values can be read in several ways", again=False
                )
            self.frame[name] = reading.values
            gaps[name] = reading.missing | reading.lost
            self._count(name, int(reading.mended.sum()), f"written as {want.type}")
            self._count(name, int(reading.lost.sum()), "unreadable, made empty")
        if params.drop_duplicates:
            again = self.frame.duplicated().to_numpy(np.bool_)
            self.frame = self.frame[~again].reset_index(drop=True)
            gaps = {name: gap[~again] for name, gap in gaps.items()}
            if again.any():
                self.changes.append(f"drop {int(again.sum()):,} rows that repeat another")
        for name, want in declared.items():
            if want.unique:
                continue
            found = files.numbers(self.frame[name]) if want.type in ("integer", "number") else None
            if params.fill_missing and want.required and gaps[name].any():
                self._fill(name, want, gaps[name], found)
            if params.cap_outliers and found is not None:
                self._cap(name, want, found, params.iqr_factor)

    def _fill(self, name: str, want: Column, gap: Mask, found: Any) -> None:
        if gap.mean() > _MOST_MADE_UP:
            raise FarSideError(f"{name}: {gap.mean():.0%} of it is missing, too much to make up", again=False)
        column = self.frame[name]
        if found is None:
            # Ties go to the value that sorts first, so that the same file gives the same plan.
            value, what = column[~gap].mode().iloc[0], "the most frequent value"
        else:
            value = self._as_written(name, want, float(np.nanmedian(found)))
            what = f"the median {value}"
        self.frame[name] = column.mask(gap, value)
        self._count(name, int(gap.sum()), f"missing, filled with {what}")

    def _cap(self, name: str, want: Column, found: Any, factor: float) -> None:
        finite = found[np.isfinite(found)]
        low, high = -math.inf, math.inf
        if len(finite) >= _FEWEST:
            first, third = np.quantile(finite, [0.25, 0.75])
            if third > first:  # else half of the values are equal and all others would count as outliers
                low, high = first - factor * (third - first), third + factor * (third - first)
        low = max(low, -math.inf if want.minimum is None else want.minimum)
        high = min(high, math.inf if want.maximum is None else want.maximum)
        if want.type == "integer":
            low = math.ceil(low) if math.isfinite(low) else low
            high = math.floor(high) if math.isfinite(high) else high
        for beyond, limit, side in ((found < low, low, "at least"), (found > high, high, "at most")):
            if beyond.any():
                value = self._as_written(name, want, float(limit))
                self.frame[name] = self.frame[name].mask(beyond, value)
                self._count(name, int(beyond.sum()), f"capped to {side} {value}")

    def _as_written(self, name: str, want: Column, number: float) -> Any:
        """A number as the column holds numbers: text, int, float or Decimal."""
        import pyarrow as pa

        native = self.frame[name].dtype.pyarrow_dtype  # type: ignore[union-attr]
        if pa.types.is_decimal(native):
            return Decimal(repr(number)).quantize(Decimal(1).scaleb(-native.scale))
        if pa.types.is_floating(native):
            return number
        if pa.types.is_integer(native):
            return round(number)
        return str(round(number)) if want.type == "integer" else f"{number:.12g}"

    def _count(self, name: str, many: int, what: str) -> None:
        if many:
            self.changes.append(f"{name}: {many:,} {what}")
