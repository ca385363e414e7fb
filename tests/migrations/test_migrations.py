"""The schema that migrations build is the one that the tables declare, on both databases."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from app.db import engine as db
from app.db.engine import Database, sqlite_url
from app.db.migrate import migrate, newest_revision
from app.incidents.store import Only, page
from app.knowledge.store import newer
from app.tables import metadata
from tests.situations import NOW

CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(db.__file__).parent / "migrations"))
SCRIPTS = ScriptDirectory.from_config(CONFIG)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of its own."""
    if request.param == "sqlite":
        made = Database(sqlite_url(tmp_path / "test.db"))
        yield made
        made.close()
        return
    server, name = request.getfixturevalue("postgres_url"), f"migrations_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made = Database(server.replace("/postgres?", f"/{name}?"))
    yield made
    made.close()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    admin.dispose()


def up(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, revision)


def down(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        CONFIG.attributes["connection"] = connection
        command.downgrade(CONFIG, revision)


def at(database: Database) -> str | None:
    """The revision that the database is at."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def tables(database: Database) -> set[str]:
    found = set(inspect(database.engine).get_table_names()) - {"alembic_version"}
    return {name for name in found if ours(name, "table", {})}


def ours(name: str | None, kind: str, parents: Any) -> bool:
    """Not what the database keeps for searching: its words are no table of ours."""
    return not (name or "").startswith("incident_words")


def test_there_is_one_head_and_one_base() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert len(SCRIPTS.get_bases()) == 1
    assert newest_revision() == SCRIPTS.get_current_head()


def test_every_revision_can_be_taken_back() -> None:
    for script in SCRIPTS.walk_revisions():
        assert callable(script.module.downgrade), script.revision


class TestUpgrade:
    def test_the_schema_is_what_the_tables_declare(self, database: Database) -> None:
        migrate(database)
        assert at(database) == SCRIPTS.get_current_head()
        with database.engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "include_name": ours}
            )
            assert compare_metadata(context, metadata) == []

    def test_twice_is_once(self, database: Database) -> None:
        migrate(database)
        before = tables(database)
        migrate(database)
        assert tables(database) == before == set(metadata.tables)

    def test_rows_survive_being_migrated_again(self, database: Database) -> None:
        migrate(database)
        with database.writing() as session:
            session.connection().execute(
                metadata.tables["pause"].insert().values(at=NOW, actor="ada", paused=True, reason="")
            )
        migrate(database)
        with database.reading() as session:
            assert session.connection().execute(text("SELECT count(*) FROM pause")).scalar_one() == 1


class TestCaseNumbers:
    def test_cases_that_were_there_are_numbered_as_they_came(self, database: Database) -> None:
        up(database, "0002")
        columns = "id, text, type, system, resolution, strategy, origin, incident_id, created_at, retired"
        with database.engine.begin() as connection:
            for id_, at_ in (("new", 2), ("old", 1)):
                values = f"('{id_}', 'x', 't', '', '', '', 'outcome', '', {at_}, false)"
                connection.execute(text(f"INSERT INTO knowledge_case ({columns}) VALUES {values}"))
        migrate(database)
        with database.reading() as session:
            assert [(n, case.id) for n, case in newer(session, 0, 10)] == [(1, "old"), (2, "new")]


class TestCitations:
    def test_of_diagnoses_that_were_there(self, database: Database) -> None:
        up(database, "20261121_playbooks")
        because = "P(type it serves) 1.00 x P(success) 0.85, recommended by "
        bodies = {
            "dia_1": {
                "runbook": "slow#fix",
                "choices": [{"strategy": "retry", "because": f"{because}slow#confirm"}],
            },
            "dia_2": {"runbook": "far#symptoms", "choices": [{"strategy": "retry", "because": "it helps"}]},
            "dia_3": {"choices": []},
        }
        with database.engine.begin() as connection:
            for id_, body in bodies.items():
                connection.execute(
                    text("INSERT INTO diagnosis VALUES (:id, 'inc_1', 1, 5, 't', 0.5, :body)"),
                    {"id": id_, "body": json.dumps(body)},
                )
        migrate(database)
        with database.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT diagnosis_id, runbook, section, strategy FROM citation ORDER BY 1")
            )
            assert [tuple(row) for row in rows] == [
                ("dia_1", "slow", "confirm", "retry"),
                ("dia_2", "far", "symptoms", ""),
            ]


class TestPages:
    def test_incidents_that_were_there_are_filtered_and_searched(self, database: Database) -> None:
        up(database, "20261121_citations")
        target = '{"system": "shop", "owner": "data", "environment": "prod"}'
        incident = {
            **dict.fromkeys(("group_key", "open_key", "title", "template", "target_key", "source"), "x"),
            "id": "inc_1",
            "state": "firing",
            "episode": 1,
            "handled_episode": 1,
            "events": 1,
            "message": "disk is full",
            "severity": "error",
            "target": target,
            "why": "[]",
            "job_id": "",
            "run_id": "",
            "first_seen": 1,
            "last_seen": 1,
        }
        told = {"id": "dia_1", "incident_id": "inc_1", "episode": 1, "at": 1, "confidence": 0.5, "body": "{}"}
        with database.engine.begin() as connection:
            for table, row in (("incident", incident), ("diagnosis", {**told, "type": "data_quality"})):
                values = ", ".join(f":{name}" for name in row)
                connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"), row)
        migrate(database)
        for only in (
            Only(system="shop", owner="data", environment="prod", type="data_quality"),
            Only(search="disk", owner="data"),
            Only(search="inc_1"),
        ):
            with database.reading() as session:
                assert [one.id for one in page(session, only)[0]] == ["inc_1"]


class TestDowngrade:
    def test_base_leaves_nothing(self, database: Database) -> None:
        migrate(database)
        down(database, "base")
        assert tables(database) == set()
        assert at(database) is None

    def test_up_again_gives_the_same(self, database: Database) -> None:
        migrate(database)
        down(database, "base")
        migrate(database)
        assert tables(database) == set(metadata.tables)


class TestSteps:
    def test_each_step_goes_up_and_down(self, database: Database) -> None:
        for script in reversed(list(SCRIPTS.walk_revisions())):
            up(database, script.revision)
            assert at(database) == script.revision
            down(database, "-1")
            assert at(database) == script.down_revision
            up(database, script.revision)
