"""Data files: read, checked against a schema, backed up and replaced."""

import dataclasses
import datetime as dt
import hashlib
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.systems import files
from app.systems.connections import Column, DataFile
from app.systems.far_side import FarSideError


def csv_of(text: str | bytes) -> files.Contents:
    return files.parse(text.encode() if isinstance(text, str) else text, "csv")


def parquet_of(path: Path, **columns: Any) -> files.Contents:
    pq.write_table(pa.table(columns), path)
    return files.read(DataFile(type="file", path=path, format="parquet"))


def column(kind: str, **fields: Any) -> dict[str, Column]:
    return {"a": Column.model_validate({"type": kind, **fields})}


def one_column(*cells: str) -> files.Contents:
    return csv_of("a,b\n" + "".join(f'"{cell}",x\n' for cell in cells))


class TestRead:
    def test_every_cell_is_text_as_it_stands(self) -> None:
        frame = csv_of('a,b\n007,NA\n1.10,"x, ""y""\nz"\n').frame
        assert frame.to_dict("list") == {"a": ["007", "1.10"], "b": ["NA", 'x, "y"\nz']}

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"a,b\n1\n", "Expected 2 columns, got 1"),
            (b"a,b\n1,2,3\n", "Expected 2 columns, got 3"),
            (b'a,b\n1,"x\n3,4\n', "quotes do not pair up"),
            (b"a,a\n1,2\n", "name each column once"),
            (b"", "name each column once"),
            (b"a,b\n1,\xff\n", "readable csv"),
        ],
    )
    def test_what_is_no_csv(self, data: bytes, says: str) -> None:
        with pytest.raises(FarSideError, match=says) as error:
            csv_of(data)
        assert not error.value.again

    def test_what_is_no_parquet(self) -> None:
        with pytest.raises(FarSideError, match="no readable parquet"):
            files.parse(b"PAR1 and nothing", "parquet")

    def test_lists_are_not_for_us(self, tmp_path: Path) -> None:
        with pytest.raises(FarSideError, match="lists or structs"):
            parquet_of(tmp_path / "x", a=[[1]])

    def test_too_large_or_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        with pytest.raises(FarSideError, match="No such file"):
            files.read(DataFile(type="file", path=path))
        path.write_text("a\n1\n")
        with pytest.raises(FarSideError, match="more than the 3 allowed"):
            files.read(DataFile(type="file", path=path, max_bytes=3))


class TestRender:
    @pytest.mark.parametrize(
        "data", [b"a,b\n1,2\n", b"a,b\r\n1,\r\n", b"\xef\xbb\xbfa,b\n1,2\n", b'a\n"x\ny"\n', b'a\n""\n']
    )
    def test_nothing_changed_is_the_same_bytes(self, data: bytes) -> None:
        contents = csv_of(data)
        assert files.render(contents, contents.frame) == data

    def test_what_would_not_read_back_is_refused(self) -> None:
        contents = csv_of('a,b\n"x\ry",1\n')
        with pytest.raises(FarSideError, match=r"without loss|no readable"):
            files.render(contents, contents.frame)

    def test_parquet_keeps_its_types_and_its_own_metadata(self, tmp_path: Path) -> None:
        table = pa.table(
            {
                "d": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
                "t": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("ns", "UTC")),
                "i": pa.array([2**62 + 1, None], pa.int64()),
                "f": pa.array([0.1, float("nan")]),
                "b": pa.array([b"\x00", None]),
                "day": pa.array([dt.date(2024, 1, 1), None]),
            }
        ).replace_schema_metadata({"made_by": "loader"})
        pq.write_table(table, tmp_path / "x")
        contents = files.read(DataFile(type="file", path=tmp_path / "x", format="parquet"))
        again = pq.read_table(pa.BufferReader(files.render(contents, contents.frame)))
        assert again.schema == table.schema
        assert again.schema.metadata == {b"made_by": b"loader"}
        assert again.drop_columns("f").equals(table.drop_columns("f"))
        assert str(again["f"].to_pylist()) == "[0.1, nan]"


class TestReplace:
    def test_mode_and_owner_stay_and_a_link_stays_a_link(self, tmp_path: Path) -> None:
        real, link = tmp_path / "real.csv", tmp_path / "link.csv"
        real.write_text("old")
        real.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(real, 1234, 2345)
        before = real.stat()
        link.symlink_to(real)
        files.replace(link, b"new", link.stat())
        after = real.stat()
        assert (real.read_text(), link.is_symlink()) == ("new", True)
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert after.st_ino != before.st_ino
        assert sorted(p.name for p in tmp_path.iterdir()) == ["link.csv", "real.csv"]

    def test_one_that_fails_leaves_the_old_file_and_no_litter(self, tmp_path: Path) -> None:
        path = tmp_path / "folder"
        (path / "inside").mkdir(parents=True)
        with pytest.raises(OSError, match="directory"):
            files.replace(path, b"new", path.stat())
        assert [p.name for p in tmp_path.iterdir()] == ["folder"]

    def test_a_backup_is_ours_alone(self, tmp_path: Path) -> None:
        copy = tmp_path / "keep" / "x"
        files.backup(b"one", copy)
        files.backup(b"two", copy)
        assert (copy.read_bytes(), copy.stat().st_mode & 0o777) == (b"two", 0o600)
        assert files.sha256(copy) == hashlib.sha256(b"two").hexdigest()
        assert files.sha256(tmp_path / "none") == ""


class TestReadColumn:
    @pytest.mark.parametrize(
        ("kind", "cell", "becomes"),
        [
            ("integer", " 12 ", "12"),
            ("integer", "12.0", "12"),
            ("integer", "1e3", "1000"),
            ("integer", "1,234,567", "1234567"),
            ("number", "1,234.50", "1234.50"),
            ("number", " -0.5", "-0.5"),
            ("boolean", "Yes", "true"),
            ("boolean", "0", "false"),
            ("datetime", "2024/03/04", "2024-03-04"),
            ("datetime", "20240304", "2024-03-04"),
            ("datetime", "4 Mar 2024", "2024-03-04"),
            ("datetime", "March 4, 2024", "2024-03-04"),
            ("datetime", "2024/03/04 05:06:07", "2024-03-04T05:06:07"),
            ("datetime", " 2024-03-04", "2024-03-04"),
        ],
    )
    def test_mended(self, kind: files.Kind, cell: str, becomes: str) -> None:
        reading = files.read_column(one_column(cell), "a", kind)
        assert (list(reading.mended), list(reading.values)) == ([True], [becomes])

    @pytest.mark.parametrize(
        ("kind", "cell"),
        [
            ("integer", "12"),
            ("integer", "-007"),
            ("number", "1.5e-3"),
            ("boolean", "True"),
            ("datetime", "2024-03-04"),
            ("datetime", "2024-03-04T05:06:07.123+02:00"),
            ("text", "-"),
        ],
    )
    def test_good_as_it_is(self, kind: files.Kind, cell: str) -> None:
        reading = files.read_column(one_column(cell), "a", kind)
        assert not (reading.mended | reading.lost | reading.doubtful | reading.missing).any()
        assert list(reading.values) == [cell]

    @pytest.mark.parametrize(
        ("kind", "cell"),
        [
            ("integer", "12.5"),
            ("integer", "1e999999999"),
            ("number", "1,234"),
            ("number", "1.234,5"),
            ("number", "5%"),
            ("boolean", "2"),
            ("datetime", "03/04/2024"),
            ("datetime", "2024-13-01"),
            ("datetime", "1709510400"),
        ],
    )
    def test_nobody_should_guess(self, kind: files.Kind, cell: str) -> None:
        assert list(files.read_column(one_column(cell), "a", kind).doubtful) == [True]

    @pytest.mark.parametrize("kind", ["integer", "number", "boolean", "datetime"])
    def test_missing_and_lost(self, kind: files.Kind) -> None:
        reading = files.read_column(one_column("", "NULL", " n/a ", "-", "oops", "inf"), "a", kind)
        assert list(reading.missing) == [True] * 4 + [False] * 2
        assert list(reading.lost) == [False] * 4 + [True] * 2

    def test_parquet_text_becomes_what_it_should_be(self, tmp_path: Path) -> None:
        contents = parquet_of(
            tmp_path / "x",
            integer=["12", "1,234,567", None, "oops"],
            number=["1.5", "2", "NA", "1,234.5"],
            boolean=["yes", "False", None, "1"],
            datetime=["2024-01-01", "2024-01-01T10:00:00", None, "2 Jan 2024"],
        )
        found = {n: files.read_column(contents, n, n).values for n in contents.frame}  # type: ignore[arg-type]
        assert [found["integer"][0], found["integer"][1]] == [12, 1234567]
        assert found["integer"].isna().tolist() == [False, False, True, True]
        assert found["number"].dropna().tolist() == [1.5, 2.0, 1234.5]
        assert found["boolean"].dropna().tolist() == [True, False, True]
        assert found["datetime"].dropna().dt.day.tolist() == [1, 1, 2]
        types = [str(found[n].dtype) for n in ("integer", "number", "boolean")]
        assert types == ["int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]"]

    def test_whole_numbers_held_as_fractions_become_integers(self, tmp_path: Path) -> None:
        contents = parquet_of(tmp_path / "x", a=pa.array([1.0, None, 3.0]))
        reading = files.read_column(contents, "a", "integer")
        assert (reading.values.dropna().tolist(), str(reading.values.dtype)) == ([1, 3], "int64[pyarrow]")

    def test_times_with_and_without_a_zone_are_not_mixed(self, tmp_path: Path) -> None:
        contents = parquet_of(tmp_path / "x", a=["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"])
        assert list(files.read_column(contents, "a", "datetime").doubtful) == [False, True]

    def test_a_number_too_large_for_its_type(self, tmp_path: Path) -> None:
        contents = parquet_of(tmp_path / "x", a=["9" * 30])
        with pytest.raises(FarSideError, match="too large"):
            files.read_column(contents, "a", "integer")


class TestProblems:
    @pytest.mark.parametrize(
        ("cells", "schema", "says"),
        [
            (("1", "x"), column("integer"), "a: 1 values are not integer"),
            (("1", ""), column("integer"), "a: 1 values are missing"),
            (("1", "1", "2"), column("integer", unique=True), "a: 1 values repeat"),
            (("1", "9"), column("integer", maximum=5), "a: 1 values are outside of the range"),
            (("-1", "9"), column("number", minimum=0), "a: 1 values are outside of the range"),
            (("1",), {"z": Column(type="text")}, "z: the column is not there"),
        ],
    )
    def test_each(self, cells: tuple[str, ...], schema: dict[str, Column], says: str) -> None:
        assert files.problems(one_column(*cells), schema) == (says,)

    def test_none(self) -> None:
        schema = {**column("integer", required=False, minimum=0), "z": Column(type="text", required=False)}
        assert files.problems(one_column("1", "", "NA", "2"), schema) == ()

    def test_parquet_with_nulls_nan_and_decimals(self, tmp_path: Path) -> None:
        contents = parquet_of(
            tmp_path / "x", a=[1.0, float("nan"), None], d=[Decimal("1.1"), Decimal("9.9"), None]
        )
        schema = {**column("number"), "d": Column(type="number", required=False, maximum=5)}
        wrong = ("a: 2 values are missing", "d: 1 values are outside of the range")
        assert files.problems(contents, schema) == wrong
        fine = dataclasses.replace(contents, frame=contents.frame.iloc[:1])
        assert files.problems(fine, schema) == ()
        assert isinstance(fine.frame, pd.DataFrame)
