"""Reach: every kind of connection is tried, and nothing changes by it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.systems.connections import Connection
from app.systems.far_side import FarSideError
from app.systems.reach import reach
from tests.doubles import JobServer, Service
from tests.vault import CANARY, Vault

pytestmark = pytest.mark.server
CONNECTION: TypeAdapter[Any] = TypeAdapter(Connection)


def tried(connection: dict[str, Any]) -> list[str]:
    return reach(CONNECTION.validate_python(connection))


def test_a_job(jobs: JobServer) -> None:
    assert tried(jobs.job()) == [f"{jobs.url.removeprefix('http://')} answers"]
    (said,) = tried(jobs.job(lookup=None))
    assert said.endswith("takes connections; whether it would run the job was not tried")
    assert jobs.acted == 0


@pytest.mark.parametrize("lookup", ["http://127.0.0.1:1/lookup", ""])
def test_a_job_that_is_away(lookup: str) -> None:
    with pytest.raises(FarSideError, match=r"127.0.0.1:1 was not reached") as error:
        tried({"type": "http_job", "run": "http://127.0.0.1:1/runs?token=hidden", "lookup": lookup})
    assert "hidden" not in error.value.says


def test_a_job_whose_token_is_not_there(jobs: JobServer, tmp_path: Path) -> None:
    with pytest.raises(FarSideError, match="token cannot be read"):
        tried(jobs.job(lookup=None, token={"file": str(tmp_path / "token")}))


def test_a_process(service: Service) -> None:
    service.start()
    assert tried(service.connection) == [
        f"127.0.0.1:{service.port} answered 200",
        "its start command can be found",
    ]
    assert service.started == 1


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("id\n1\nx\n")
    columns = {"id": {"type": "integer"}}
    assert tried({"type": "file", "path": str(path), "columns": columns}) == [
        "2 rows",
        "id: 1 values are not integer",
    ]
    assert tried({"type": "file", "path": str(path)})[1] == "it meets its schema"


def test_a_table(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("CREATE TABLE orders (id INTEGER, number INT)")
    table = {"type": "table", "url": f"sqlite:///{path}", "table": "orders", "key": ["number"]}
    assert tried(table) == ["orders has the columns id, number"]


def test_a_credential(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    before = vault.holds
    assert tried(vault.credential())[-1] == "the credential does not work"
    assert vault.holds == before
    with pytest.raises(FarSideError, match="does not print the id of a version alone") as error:
        tried(vault.credential(current=vault.command("issue", CANARY), versions="v[0-9]+"))
    assert CANARY not in error.value.says


def test_a_grant(jobs: JobServer, tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert tried(vault.grants(jobs.job()))[0] == "ledger.read is not in force"
    assert vault.holds["granted"] == {}
