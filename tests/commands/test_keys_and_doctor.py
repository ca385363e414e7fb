import json
import re
from pathlib import Path

import pytest

from app import __version__
from app.db.engine import Database, sqlite_url
from app.foundation.errors import NotSignedIn
from app.people.person import Role
from app.web.security import Keyring
from tests.commands.conftest import Mendline


def states(mendline: Mendline) -> tuple[int, dict[str, tuple[str, str]]]:
    """What the doctor says of each part."""
    done = mendline("doctor", "--json")
    return done.code, {part["part"]: (part["state"], part["says"]) for part in json.loads(done.out)}


class TestKey:
    def test_one_is_made_used_listed_and_revoked(self, mendline: Mendline, data: Path) -> None:
        made = mendline("key", "create", "ada", "--role", "approver")
        key = made.out.strip()
        assert made.code == 0
        assert re.fullmatch(r"mend_[a-z2-7]{32}", key)
        database = Database(sqlite_url(data / "mendline.db"))
        person = Keyring(database).person(key)
        assert (person.name, person.role) == ("ada", Role.APPROVER)

        listed = mendline("key", "list").out
        assert "ada" in listed
        assert "approver" in listed
        assert key not in listed

        assert mendline("key", "revoke", "ada").out == "revoked ada\n"
        with pytest.raises(NotSignedIn):
            Keyring(database).person(key)
        assert "yes" in mendline("key", "list").out
        database.close()

    def test_a_name_is_taken_once(self, mendline: Mendline) -> None:
        mendline("key", "create", "ada", "--role", "viewer")
        done = mendline("key", "create", "ada", "--role", "admin")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("mendline: there is a key named 'ada' already")

    def test_the_key_itself_is_not_stored(self, mendline: Mendline, data: Path) -> None:
        key = mendline("key", "create", "ada", "--role", "viewer").out.strip()
        stored = b"".join(path.read_bytes() for path in data.iterdir() if path.is_file())
        assert key.encode() not in stored
        assert key.removeprefix("mend_").encode() not in stored


class TestDoctor:
    def test_a_fresh_installation_lacks_a_key_only(self, mendline: Mendline) -> None:
        code, found = states(mendline)
        assert code == 1
        assert [part for part, (state, _) in found.items() if state != "ok"] == ["keys"]
        assert found["keys"][1] == "0; make one: mendline key create admin --role admin"

    def test_with_one_all_is_well(self, mendline: Mendline, data: Path) -> None:
        mendline("key", "create", "admin", "--role", "admin")
        code, found = states(mendline)
        assert code == 0
        assert str(data / "mendline.db") in found["database"][1]
        done = mendline("doctor")
        assert done.code == 0
        assert "wrong" not in done.out

    def test_a_wrong_setting(self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MENDLINE_WEB__PROT", "1")
        code, found = states(mendline)
        assert code == 1
        assert found["settings"] == ("wrong", "MENDLINE_WEB__PROT: there is no such setting")

    def test_a_broken_register_of_targets(self, mendline: Mendline, data: Path) -> None:
        mendline("key", "create", "admin", "--role", "admin")
        (data / "targets.yaml").write_text("targets:\n  - system: [\n")
        code, found = states(mendline)
        assert code == 1
        assert found["targets"][0] == "wrong"
        assert "targets.yaml is not YAML: line 3" in found["targets"][1]

    def test_a_broken_runbook(self, mendline: Mendline, knowledge: Path) -> None:
        (knowledge / "runbooks" / "broken.md").write_text("no front matter")
        _, found = states(mendline)
        state, says = found["runbooks"]
        assert state == "wrong"
        assert says.startswith("0 in force; broken.md:1: begins with front matter between two lines of ---; ")

    def test_a_database_that_is_away(self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MENDLINE_DB__URL", "postgresql+psycopg://ada:hunter2@127.0.0.1:1/mendline")
        code, found = states(mendline)
        assert code == 1
        assert found["database"][0] == "wrong"
        assert "does not answer" in found["database"][1]
        assert "hunter2" not in str(found)


class TestVersion:
    def test_it_is_told(self, mendline: Mendline) -> None:
        assert mendline("version").out.startswith(f"mendline {__version__} (")
