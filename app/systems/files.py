"""Data files: read whole, checked against their declared schema, backed up, replaced, restored.

A CSV is held as text, cell by cell, so that what is not changed is written as it was; a
Parquet file keeps its Arrow types. A replacement is written beside the file, synced, given the
file's mode and owner, and moved over it: readers see the old file or the new one.
"""

import contextlib
import csv
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from app.systems.connections import Column, DataFile
from app.systems.far_side import FarSideError

if TYPE_CHECKING:  # importing it takes a start half a second, and few repairs need it
    import pandas as pd

Mask = npt.NDArray[np.bool_]
Kind = Literal["integer", "number", "text", "boolean", "datetime"]

_BOM = b"\xef\xbb\xbf"
_ZONE = r"(?:Z|[+-]\d\d:?\d\d)$"
_MISSING = {"", "-", "#n/a", "<na>", "n/a", "na", "nan", "nat", "none", "null"}
_WORDS = {"true": "true t yes y on 1", "false": "false f no n off 0"}
_TRUTH = {word: truth for truth, words in _WORDS.items() for word in words.split()}
_EXACT: dict[Kind, str] = {
    "integer": r"[+-]?\d+",
    "number": r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?",
    "boolean": r"(?i:true|false)",
    "datetime": r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?",
}
# "1,234" may be German for 1.234: commas are taken out only where they can be nothing else.
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
# Day and month are never guessed: only forms in which the year leads or the month is a word.
_DATES = ("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y")
_TIMES = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%a, %d %b %Y %H:%M:%S %z")


@dataclass(frozen=True)
class Contents:
    """A file's state: sha256 of its bytes, its table, and what is kept when it is written again."""

    sha256: str
    frame: "pd.DataFrame"
    start: bytes = b""
    line_end: str = "\n"
    schema: Any = None


@dataclass(frozen=True)
class Reading:
    """One column against its declared type; masks are bool, as long as the column.

    values     as the type wants them; missing where they are missing or lost.
    missing    empty in the file.        mended    written otherwise, readable for sure.
    lost       unreadable without a digit in it ("error"): worth as much as missing.
    doubtful   unreadable, but it says something ("03/04/24"): nobody should guess.
    """

    values: "pd.Series[Any]"
    missing: Mask
    mended: Mask
    lost: Mask
    doubtful: Mask


def sha256(path: Path) -> str:
    """Hex sha256 of a file; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def read(file: DataFile) -> Contents:
    """The whole file, from one read of its bytes. Raises FarSideError (again=False) when unreadable."""
    try:
        size = file.path.stat().st_size
        if size > file.max_bytes:
            raise FarSideError(
                f"it has {size:,} bytes, more than the {file.max_bytes:,} allowed", again=False
            )
        data = file.path.read_bytes()
    except OSError as error:
        raise FarSideError(f"it cannot be read: {error.strerror}", again=False) from None
    return parse(data, file.format)


def parse(data: bytes, form: Literal["csv", "parquet"]) -> Contents:
    """The table in these bytes. Raises FarSideError (again=False) when they are not such a file."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    digest = hashlib.sha256(data).hexdigest()
    try:
        if form == "csv":
            return _parse_csv(data, digest)
        table = pq.read_table(pa.BufferReader(data))
        for index, field in enumerate(table.schema):
            if pa.types.is_nested(field.type):
                raise FarSideError(f"column {field.name} holds lists or structs", again=False)
            if pa.types.is_dictionary(field.type):
                table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
        frame = table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
        return Contents(digest, frame, schema=table.schema)
    except (pa.ArrowException, UnicodeDecodeError, csv.Error, OSError) as error:
        raise FarSideError(
            f"it is no readable {form}: {str(error).splitlines()[0][:120]}", again=False
        ) from None


def _parse_csv(data: bytes, digest: str) -> Contents:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    if data.count(b'"') % 2:
        raise FarSideError("it is no readable csv: its quotes do not pair up", again=False)
    names = next(csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")), [])
    if not names or len(set(names)) < len(names):
        raise FarSideError(
            "it is no readable csv: its first line does not name each column once", again=False
        )
    table = pa_csv.read_csv(
        pa.BufferReader(data),
        read_options=pa_csv.ReadOptions(block_size=len(data) + 1),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    start = _BOM if data.startswith(_BOM) else b""
    line_end = "\r\n" if b"\r\n" in data[: data.find(b"\n") + 1] else "\n"
    return Contents(digest, table.to_pandas(types_mapper=pd.ArrowDtype), start, line_end)


def render(contents: Contents, frame: "pd.DataFrame") -> bytes:
    """`frame` as bytes in the form that `contents` had. Raises FarSideError when a CSV would not read back."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if contents.schema is None:
        data = contents.start + frame.to_csv(index=False, lineterminator=contents.line_end).encode()
        # A lone carriage return within a cell, for one, is not quoted by the writer.
        if not parse(data, "csv").frame.equals(frame.reset_index(drop=True)):
            raise FarSideError("it cannot be written again without loss", again=False)
        return data
    kept = {name: value for name, value in (contents.schema.metadata or {}).items() if name != b"pandas"}
    # Asked through pyarrow.array, NaN would become null.
    columns: list[Any] = [frame[name].array.__arrow_array__() for name in frame]
    table = pa.Table.from_arrays(columns, names=list(frame)).replace_schema_metadata(kept)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def replace(path: Path, data: bytes, like: os.stat_result) -> None:
    """Puts `data` in the place of `path`, with mode and owner of `like`. Raises OSError: nothing changed."""
    real = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            mine = os.fstat(file.fileno())
            if (like.st_uid, like.st_gid) != (mine.st_uid, mine.st_gid):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), like.st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, real)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    _sync(real.parent)


def backup(data: bytes, copy: Path) -> None:
    """Writes `copy`, readable by us alone, and syncs it; an existing one is replaced. Raises OSError."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{copy.name}.", dir=copy.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, copy)
    _sync(copy.parent)


def problems(contents: Contents, columns: dict[str, Column]) -> tuple[str, ...]:
    """What the table has against its schema, one line a fact, by column; empty when it meets it."""
    return tuple(_problems(contents, columns))


def _problems(contents: Contents, columns: dict[str, Column]) -> Iterator[str]:
    for name, want in columns.items():
        if name not in contents.frame:
            if want.required:
                yield f"{name}: the column is not there"
            continue
        reading = read_column(contents, name, want.type)
        if wrong := int((reading.mended | reading.lost | reading.doubtful).sum()):
            yield f"{name}: {wrong:,} values are not {want.type}"
        if want.required and reading.missing.any():
            yield f"{name}: {int(reading.missing.sum()):,} values are missing"
        if want.unique and (repeats := int(reading.values[~reading.missing].duplicated().sum())):
            yield f"{name}: {repeats:,} values repeat"
        if want.minimum is None and want.maximum is None:
            continue
        found = numbers(reading.values)
        low, high = want.minimum, want.maximum
        outside = (found < (-np.inf if low is None else low)) | (found > (np.inf if high is None else high))
        if outside.any():
            yield f"{name}: {int(outside.sum()):,} values are outside of the range"


def numbers(values: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """The numbers of an integer or number column as float64, NaN where there is none."""
    import pandas as pd
    import pyarrow as pa

    native = _native(values)
    if _fits(native, "text"):
        values = pd.to_numeric(values, errors="coerce")
    elif pa.types.is_decimal(native):
        values = values.astype(pd.ArrowDtype(pa.float64()))
    return np.asarray(values.to_numpy(np.float64, na_value=np.nan), dtype=np.float64)


def read_column(contents: Contents, name: str, kind: Kind) -> Reading:
    """The column as its declared type wants it, and where that took some reading."""
    import pandas as pd
    import pyarrow as pa

    as_text = pd.ArrowDtype(pa.string())
    series, typed = contents.frame[name], contents.schema is not None
    none = np.zeros(len(series), dtype=np.bool_)
    if typed and _fits(_native(series), kind):
        missing = _mask(series.isna())
        return Reading(
            series, missing | np.isnan(numbers(series)) if kind == "number" else missing, none, none, none
        )
    text = series if _fits(_native(series), "text") else series.astype(as_text)
    if kind == "text":
        missing = _mask(text.isna() if typed else text == "")
        return Reading(text, missing, ~missing if typed else none, none, none)
    missing = _mask(text.isna() | text.str.strip().str.lower().isin(_MISSING))
    exact = _mask(text.str.fullmatch(_EXACT[kind]))
    if kind == "datetime":
        when = pd.to_datetime(text.where(exact), format="ISO8601", errors="coerce", utc=True)
        exact &= _mask(when.notna())
    odd = ~missing & ~exact
    known = {value: _mend(value, kind) for value in text[odd].unique()}
    values = text.mask(odd, text.map(known).astype(as_text))
    unread = odd & _mask(values.isna())
    doubtful = unread & _mask(text.str.contains(r"\d"))
    if not typed:
        return Reading(values.fillna(""), missing, odd & ~unread, unread & ~doubtful, doubtful)
    values = values.mask(missing, None)
    if kind == "datetime" and _mask(values.str.contains(_ZONE)).any():
        doubtful |= _mask(~values.str.contains(_ZONE))  # which zone the others mean, nobody knows
    return Reading(_as_typed(values, kind), missing, ~missing & ~unread, unread & ~doubtful, doubtful)


def _mend(text: str, kind: Kind) -> str | None:
    """The one thing that `text` can mean as this type, None when there is none or more than one."""
    import pandas as pd

    text = text.strip()
    if kind == "boolean":
        return _TRUTH.get(text.lower())
    if kind == "datetime":
        for form in (*_DATES, *_TIMES):
            when = pd.to_datetime(text, format=form, errors="coerce")
            if isinstance(when, pd.Timestamp):
                return when.strftime("%Y-%m-%d") if form in _DATES else when.isoformat()
        real = isinstance(pd.to_datetime(text, format="ISO8601", errors="coerce"), pd.Timestamp)
        return text if real and re.fullmatch(_EXACT[kind], text) else None
    text = text.replace(",", "") if _GROUPED.fullmatch(text) else text
    if not re.fullmatch(_EXACT["number"], text):
        return None
    number = Decimal(text)
    if kind == "number":
        return text
    return str(int(number)) if number.adjusted() < 18 and number == int(number) else None


def _as_typed(text: "pd.Series[Any]", kind: Kind) -> "pd.Series[Any]":
    import pandas as pd
    import pyarrow as pa

    reads: dict[str, Callable[[str], Any]] = {
        "integer": int,
        "number": float,
        "boolean": lambda x: x.lower() == "true",
    }
    if kind == "datetime":
        when = pd.to_datetime(text, format="ISO8601", utc=bool(_mask(text.str.contains(_ZONE)).any()))
        return when.astype(pd.ArrowDtype(pa.timestamp("us", tz=when.dt.tz and "UTC")))
    native = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}[kind]
    try:
        found = pa.array([None if pd.isna(x) else reads[kind](x) for x in text], native)
    except (pa.ArrowException, OverflowError):
        raise FarSideError("a number is too large for its type", again=False) from None
    return pd.Series(pd.array(found, dtype=pd.ArrowDtype(native)), index=text.index)


def _native(series: "pd.Series[Any]") -> Any:
    import pandas as pd

    assert isinstance(series.dtype, pd.ArrowDtype)
    return series.dtype.pyarrow_dtype


def _fits(native: Any, kind: Kind) -> bool:
    import pyarrow as pa

    types = pa.types
    if kind == "text":
        return bool(types.is_string(native) or types.is_large_string(native))
    if kind == "boolean":
        return bool(types.is_boolean(native))
    if kind == "datetime":
        return bool(types.is_timestamp(native) or types.is_date(native))
    fraction = types.is_floating(native) or types.is_decimal(native)
    return bool(types.is_integer(native) or (fraction and kind == "number"))


def _mask(series: "pd.Series[Any]") -> Mask:
    found: Mask = series.to_numpy(np.bool_, na_value=False)
    return found


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
