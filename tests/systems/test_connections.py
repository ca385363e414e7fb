"""Connections: what may be registered, and where secrets stand."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.systems.connections import Connection, HttpJob, SecretRef, SqlTable
from app.systems.far_side import FarSideError
from tests.vault import Vault

CONNECTION: TypeAdapter[Any] = TypeAdapter(Connection)


def refused(connection: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as error:
        CONNECTION.validate_python(connection)
    return "; ".join(e["msg"] for e in error.value.errors(include_input=False))


class TestSecretRef:
    def test_it_is_read_at_use(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "token"
        file.write_text("one\n")
        ref = SecretRef(file=file)
        assert ref.read() == "one"
        file.write_text("two\n")
        assert ref.read() == "two"
        monkeypatch.setenv("SHOP_TOKEN", "three")
        assert SecretRef(env="SHOP_TOKEN").read() == "three"

    def test_one_that_is_not_there_is_told_by_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(FarSideError, match=r"gone cannot be read: No such file"):
            SecretRef(file=tmp_path / "gone").read()
        with pytest.raises(FarSideError, match="NO_SUCH holds no secret"):
            SecretRef(env="NO_SUCH").read()

    @pytest.mark.parametrize(
        "fields",
        [{}, {"file": "/a", "env": "B"}, {"env": "MENDLINE_LLM__KEY"}, {"env": "mendline_x"}, {"env": "A B"}],
    )
    def test_one_place_that_is_not_ours(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            SecretRef.model_validate(fields)

    def test_jobs_and_tables_take_one(self, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("sqlite:///here.db")
        ref = {"file": str(file)}
        job = HttpJob.model_validate({"type": "http_job", "run": "http://127.0.0.1/", "token": ref})
        assert job.bearer() == "sqlite:///here.db"
        for how in ({"url": ref}, {"url_file": str(file)}, {"url": "sqlite:///here.db"}):
            table = SqlTable.model_validate({"type": "table", "table": "t", "key": ["k"], **how})
            assert table.address() == "sqlite:///here.db"
        both = {"type": "http_job", "run": "http://127.0.0.1/", "token": ref, "token_file": str(file)}
        assert "give token or token_file" in refused(both)


class TestCommands:
    @pytest.mark.parametrize(
        ("field", "command", "says"),
        [
            ("issue", ["vaultctl", "issue"], "it must take {key}"),
            ("restore", ["vaultctl", "restore", "{version}", "{owner}"], "in the place of {owner}"),
            ("current", ["vaultctl", "{message}"], "in the place of {message}"),
            ("issue", ["{key}"], "the program itself takes no placeholder"),
            ("issue", [], "at least 1 item"),
            ("issue", "vaultctl issue {key}", "valid dictionary or instance of Command"),
            ("versions", "v[", "no regular expression"),
            ("current", {"run": ["vaultctl"], "environment": ["MENDLINE_LLM__KEY"]}, "not for other systems"),
        ],
    )
    def test_what_is_registered_wrong_is_told(
        self, tmp_path: Path, field: str, command: Any, says: str
    ) -> None:
        assert says in refused(Vault(tmp_path).credential(**{field: command}))

    def test_rights_are_names(self, tmp_path: Path) -> None:
        job = {"type": "http_job", "run": "http://127.0.0.1/"}
        for rights in ([], ["-x"], ["a b"], ["$(id)"]):
            refused(Vault(tmp_path).grants(job, rights=rights))
        assert "it must take {until}" in refused(Vault(tmp_path).grants(job, grant=["sudoctl", "{right}"]))

    def test_a_list_is_a_command(self, tmp_path: Path) -> None:
        made = CONNECTION.validate_python(Vault(tmp_path).credential(issue=["/usr/bin/vaultctl", "{key}"]))
        assert (made.issue.name, made.issue.done, made.issue.timeout) == ("vaultctl", (0,), 30)
