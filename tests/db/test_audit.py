"""The chain over what was decided and done: every edit behind its back shows, and where."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from app.db.audit import Head, audited, entries, head, verify
from app.db.engine import Database, sqlite_url
from app.decision import store
from app.tables import metadata
from app.web import security
from tests.situations import NOW


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    sqlite = request.param == "sqlite"
    made = Database(sqlite_url(tmp_path / "test.db") if sqlite else request.getfixturevalue("postgres_url"))
    metadata.create_all(made.engine)
    for number in range(3):
        with made.writing() as session:
            store.pause(session, actor=f"ada {number}", reason="a migration", at=NOW)
    yield made
    metadata.drop_all(made.engine)
    made.close()


def wrong(database: Database, noted: Head | None = None) -> list[str]:
    with database.reading() as session:
        return verify(session, noted)


@contextmanager
def behind(database: Database) -> Iterator[Connection]:
    """As somebody who may write to the database, but does not go through us."""
    with database.engine.begin() as connection:
        yield connection


def test_what_we_write_ourselves_is_chained(database: Database) -> None:
    assert wrong(database) == []
    with database.reading() as session:
        assert [entry.seq for entry in entries(session)] == [1, 2, 3]
        assert head(session).seq == 3


def test_a_rolled_back_row_leaves_no_entry(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as session:
        store.pause(session, actor="bob", reason="", at=NOW)
        session.flush()
        raise ZeroDivisionError
    assert wrong(database) == []
    with database.reading() as session:
        assert head(session).seq == 3


EDITS = {
    "UPDATE pause SET actor = 'eve' WHERE actor = 'ada 1'": "was changed",
    "UPDATE pause SET at = at + 1 WHERE actor = 'ada 1'": "was changed",
    "DELETE FROM pause WHERE actor = 'ada 1'": "is gone",
    "INSERT INTO pause (id, at, actor, paused, reason) VALUES (99, 0, 'eve', true, '')": "was added behind",
    "UPDATE audit SET digest = 'f00' WHERE seq = 2": "entry 2 was changed",
    "UPDATE audit SET ref = '9' WHERE seq = 2": "entry 2 was changed",
    "UPDATE audit SET hash = 'f00' WHERE seq = 2": "entry 3 does not follow",
    "DELETE FROM audit WHERE seq = 2": "entries 2 to 2 are missing",
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_shows(database: Database, edit: str) -> None:
    with behind(database) as connection:
        connection.execute(text(edit))
    assert any(EDITS[edit] in says for says in wrong(database)), wrong(database)


def test_a_cut_off_end_shows_against_a_noted_head(database: Database) -> None:
    with database.reading() as session:
        noted = head(session)
    assert wrong(database, noted) == []
    with behind(database) as connection:
        connection.execute(text("DELETE FROM audit WHERE seq = 3"))
        connection.execute(text("DELETE FROM pause WHERE actor = 'ada 2'"))
    assert wrong(database) == []
    assert "cut off or written anew" in wrong(database, noted)[0]


def test_every_record_of_a_repair_takes_part() -> None:
    names = {str(kind.__tablename__) for kind in audited()}
    assert names >= {
        "decision",
        "pause",
        "approval_answer",
        "remediation",
        "remediation_journal",
        "outcome",
        "label",
        "api_key",
    }


def test_a_change_of_ours_is_chained_too(database: Database) -> None:
    with database.writing() as session:
        security.create_key(session, "ci", security.Role.INGEST, NOW)
    with database.writing() as session:
        security.revoke_key(session, "ci", NOW)
    assert wrong(database) == []
    with database.reading() as session:
        assert [entry.kind for entry in entries(session, after=3)] == ["api_key", "api_key"]
