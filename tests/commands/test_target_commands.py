"""`mendline target …`: registered from a file, shown, tried and removed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands.conftest import Mendline
from tests.remediation.test_register import CREDENTIAL, JOB, TABLE, entry

KEY = "shop/job/load"


def write(folder: Path, what: Any) -> Path:
    file = folder / "new.yaml"
    file.write_text(yaml.safe_dump(what))
    return file


def test_added_listed_shown_and_removed(mendline: Mendline, tmp_path: Path) -> None:
    other = entry(TABLE, name="orders", owner="[ops]")
    done = mendline("target", "add", write(tmp_path, {"targets": [entry(CREDENTIAL), other]}))
    assert (done.code, done.out) == (0, f"registered {KEY}\nregistered shop/job/orders\n"), done.err
    listed = mendline("target", "list").out
    assert [" ".join(line.split()) for line in listed.splitlines()][1:] == [
        f"{KEY} credential database",
        "shop/job/orders table [ops] database",
    ]
    shown = yaml.safe_load(mendline("target", "show", KEY).out)
    assert shown["connection"]["issue"]["run"] == ["vaultctl", "rotate", "{key}"]
    assert mendline("target", "remove", KEY).out == f"removed {KEY}\n"
    assert mendline("target", "show", KEY).code == 1
    again = mendline("target", "remove", KEY)
    assert (again.code, again.err) == (1, f"mendline: there is no target {KEY}\n")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (entry({**JOB, "token": "hunter2"}), "connection.http_job.token: "),
        (entry({**JOB, "run": "https://a:hunter2@b/"}), "connection.run: a secret does not stand here"),
        (entry(JOB, allow=["retry"]), "allow.0: there is no strategy 'retry'"),
        ([], "the target is not valid"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    mendline: Mendline, tmp_path: Path, what: Any, says: str
) -> None:
    done = mendline("target", "add", write(tmp_path, what))
    assert done.code == 1
    assert says in done.err
    assert "hunter2" not in done.err + done.out


def test_one_that_is_wrong_keeps_the_others_out(mendline: Mendline, tmp_path: Path) -> None:
    assert (
        mendline("target", "add", write(tmp_path, {"targets": [entry(JOB), entry(JOB, allow=["x"])]})).code
        == 1
    )
    assert KEY not in mendline("target", "list").out


@pytest.mark.parametrize("content", [b"a: [", b"\xff"])
def test_a_file_that_cannot_be_read(mendline: Mendline, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "new.yaml"
    file.write_bytes(content)
    done = mendline("target", "add", file)
    assert (done.code, done.err.startswith("mendline: new.yaml cannot be read: ")) == (1, True)
    assert mendline("target", "add", tmp_path / "none").code == 1


def test_what_stands_in_the_file_is_changed_there(mendline: Mendline, data: Path, tmp_path: Path) -> None:
    data.mkdir()
    (data / "targets.yaml").write_text(yaml.safe_dump({"targets": [entry(JOB)]}))
    for words in (("add", write(tmp_path, entry(JOB))), ("remove", KEY)):
        done = mendline("target", *words)
        assert done.code == 1
        assert "stands in targets.yaml, which people keep" in done.err
    assert "targets.yaml" in mendline("target", "list").out


def test_it_is_tried_without_changing_anything(mendline: Mendline, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id\n1\n")
    file = entry({"type": "file", "path": str(path)}, name="rows")
    away = entry({"type": "http_job", "run": "http://127.0.0.1:1/runs"})
    gone = entry({"type": "file", "path": str(tmp_path / "gone.csv")}, name="gone")
    assert mendline("target", "add", write(tmp_path, {"targets": [file, away, gone]})).code == 0
    assert mendline("target", "check", "shop/job/rows").out == "1 rows\nit meets its schema\n"
    done = mendline("target", "check", KEY)
    assert (done.code, done.err) == (
        3,
        f"mendline: {KEY}: 127.0.0.1:1 was not reached (ConnectionRefusedError)\n",
    )
    done = mendline("target", "check", "shop/job/gone")
    assert (done.code, "it cannot be read" in done.err) == (1, True)
    assert mendline("target", "check", "nothing").code == 1
