"""`mendline audit`: an edit shows, and what is exported is what was chained."""

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson

from tests.commands.conftest import Mendline


def test_an_edit_in_the_database_is_found(mendline: Mendline, data: Path) -> None:
    mendline("pause", "--reason", "a migration")
    mendline("resume")
    done = mendline("audit", "verify")
    assert (done.code, done.out.splitlines()[0]) == (
        0,
        "2 entries, nothing was edited. Note the head elsewhere:",
    )
    head = done.out.splitlines()[1]
    assert mendline("audit", "verify", "--head", head).code == 0
    with closing(sqlite3.connect(data / "mendline.db")) as database, database:
        database.execute("UPDATE pause SET reason = 'nothing'")
    done = mendline("audit", "verify")
    assert (done.code, done.out) == (1, "pause 1 was changed\npause 2 was changed\n")
    with closing(sqlite3.connect(data / "mendline.db")) as database, database:
        database.execute("DELETE FROM audit")
        database.execute("DELETE FROM pause")
    assert mendline("audit", "verify").code == 0
    done = mendline("audit", "verify", "--head", head)
    assert done.code == 1
    assert "cut off or written anew" in done.out


def test_what_is_no_head_is_told(mendline: Mendline) -> None:
    done = mendline("audit", "verify", "--head", "yesterday")
    assert done.code == 1
    assert done.err.startswith("mendline: 'yesterday' is no head")


def test_an_export_holds_the_rows(mendline: Mendline, tmp_path: Path) -> None:
    mendline("pause", "--reason", "a migration")
    mendline("resume")
    out = tmp_path / "audit.jsonl"
    assert mendline("audit", "export", out, "--after", "1").out.startswith("1 entries in ")
    mendline("audit", "export", out)
    lines = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [(line["seq"], line["kind"], line["row"]["reason"]) for line in lines] == [
        (1, "pause", "a migration"),
        (2, "pause", ""),
    ]
    assert lines[1]["before"] == lines[0]["hash"]


def test_a_place_that_cannot_be_written_is_told(mendline: Mendline, tmp_path: Path) -> None:
    done = mendline("audit", "export", tmp_path / "nowhere" / "audit.jsonl")
    assert done.code == 1
    assert "cannot be written" in done.err
