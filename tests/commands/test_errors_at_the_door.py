"""Whatever a person gets wrong: one line (and the places), an exit code, never a traceback."""

import sqlite3
from pathlib import Path

import pytest

from tests.commands.conftest import Mendline


def one_line(err: str) -> str:
    """The line that says what is wrong; places follow it, indented."""
    first, *rest = err.rstrip("\n").split("\n")
    assert first.startswith("mendline: ")
    assert all(line.startswith("  ") for line in rest)
    return first.removeprefix("mendline: ")


class TestRefused:
    def test_a_setting_that_is_not_there(self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MENDLINE_WEB__PROT", "1")
        done = mendline("incidents")
        assert (done.code, done.out) == (1, "")
        assert one_line(done.err) == "the settings are not valid"
        assert "  MENDLINE_WEB__PROT: there is no such setting" in done.err

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("explain", "inc_gone"), "there is no incident inc_gone"),
            (("approve", "apr_gone"), "there is no approval apr_gone"),
            (("deny", "apr_gone"), "there is no approval apr_gone"),
            (("move", "inc_gone", "resolved"), "there is no incident inc_gone"),
            (("correct", "inc_gone", "no_such_type"), "there is no type 'no_such_type'"),
            (("key", "revoke", "nobody"), "there is no key named 'nobody'"),
            (("key", "create", "", "--role", "admin"), "a key's name has 1 to 100 characters"),
            (("worker", ""), "a worker's name has 1 to 200 characters"),
            (
                ("worker", "one"),
                "on SQLite one process does all the work; several need Postgres (MENDLINE_DB__URL)",
            ),
            (("diagnose", "  "), "the message is empty"),
            (("eval", "run", "gone.jsonl"), "there is no file gone.jsonl"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
    )
    def test_what_is_not_there(self, mendline: Mendline, words: tuple[str, ...], says: str) -> None:
        done = mendline(*words)
        assert done.code == 1
        assert one_line(done.err) == says

    def test_a_knowledge_folder_that_is_none(
        self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("MENDLINE_KNOWLEDGE__FOLDER", str(tmp_path / "gone"))
        done = mendline("incidents")
        assert done.code == 1
        assert one_line(done.err) == "taxonomy.yaml cannot be read"
        assert str(tmp_path / "gone") in done.err

    def test_a_data_folder_that_cannot_be(
        self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("MENDLINE_DATA_DIR", str(tmp_path / "file" / "data"))
        done = mendline("incidents")
        assert done.code == 1
        assert str(tmp_path / "file" / "data") in one_line(done.err)

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("nonsense", "MENDLINE_DB__URL is not like"),
            ("nosuch://x/y", "MENDLINE_DB__URL is not like"),
            ("oracle://x/y", "MENDLINE_DB__URL is not like"),
            (
                "sqlite:////not/there/at/all.db",
                "the database /not/there/at/all.db cannot be used: unable to open",
            ),
        ],
    )
    def test_a_database_that_is_none(
        self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch, url: str, says: str
    ) -> None:
        monkeypatch.setenv("MENDLINE_DB__URL", url)
        done = mendline("incidents")
        assert done.code == 1
        assert one_line(done.err).startswith(says)

    def test_a_database_that_is_away(self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MENDLINE_DB__URL", "postgresql+psycopg://ada:hunter2@127.0.0.1:1/mendline")
        done = mendline("incidents")
        assert done.code == 3
        assert "the database" in one_line(done.err)
        assert "hunter2" not in done.err

    def test_a_database_file_that_is_none(self, mendline: Mendline, data: Path) -> None:
        data.mkdir()
        (data / "mendline.db").write_bytes(b"this is a text and no database" * 100)
        done = mendline("incidents")
        assert done.code == 1
        assert str(data / "mendline.db") in one_line(done.err)

    def test_a_database_of_a_newer_release(self, mendline: Mendline, data: Path) -> None:
        assert mendline("incidents").code == 0
        with sqlite3.connect(data / "mendline.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'zzz'")
        connection.close()
        done = mendline("incidents")
        assert done.code == 1
        assert one_line(done.err).startswith("the database is of another version of Mendline")


class TestUsage:
    @pytest.mark.parametrize(
        "words",
        [
            ("no-such-command",),
            ("explain",),
            ("incidents", "--limit", "0"),
            ("incidents", "--state", "on_fire"),
            ("key", "create", "ada", "--role", "queen"),
            ("key", "create", "ada"),
        ],
        ids=" ".join,
    )
    def test_it_is_another_code(self, mendline: Mendline, words: tuple[str, ...]) -> None:
        done = mendline(*words)
        assert done.code == 2
        assert "Usage: " in done.err
        assert "Traceback" not in done.err

    def test_help_names_every_command(self, mendline: Mendline) -> None:
        done = mendline("--help")
        assert done.code == 0
        assert all(
            f" {name} " in done.out
            for name in (
                "serve",
                "doctor",
                "key",
                "diagnose",
                "eval",
                "incidents",
                "explain",
                "pause",
                "strategy",
            )
        )
