"""Settings from an environment; none of these tests reads the real one."""

from pathlib import Path

import pytest

from app.decision.plan import Risk
from app.foundation.errors import Invalid
from app.settings import PREFIX, Settings, names, read_settings


def refused(environment: dict[str, str]) -> dict[str, str]:
    """What is said of each variable."""
    with pytest.raises(Invalid) as raised:
        read_settings(environment)
    return dict(raised.value.places)


class TestDefaults:
    def test_an_empty_environment_gives_them(self) -> None:
        found = read_settings({})
        assert found == Settings()
        assert (found.data_dir, found.web.host, found.web.port) == (Path("data"), "127.0.0.1", 8420)
        assert found.knowledge.embedder == "minilm"
        assert found.db.url.get_secret_value() == ""

    def test_variables_of_others_are_none_of_ours(self) -> None:
        assert read_settings({"PATH": "/bin", "MEND": "1", "mendline_data_dir": "x"}) == Settings()

    @pytest.mark.parametrize("variable", sorted(names()))
    def test_every_default_may_be_given_as_it_is_shown(self, variable: str) -> None:
        default = names()[variable]
        # None has no text: an optional path is left out instead; "()" is how an empty list is shown.
        if default not in ("", "()"):
            assert read_settings({variable: default}) == Settings()

    def test_every_setting_of_every_room_has_a_name(self) -> None:
        rooms = Settings.model_fields
        assert len(names()) == 1 + sum(
            len(type(rooms[room].default).model_fields) for room in rooms if room != "data_dir"
        )
        assert all(name.startswith(PREFIX) and name == name.upper() for name in names())

    def test_no_secret_is_shown_by_its_text(self) -> None:
        secret = read_settings({"MENDLINE_DB__URL": "postgresql+psycopg://u:hunter2@h/d"})
        assert "hunter2" not in repr(secret)
        assert "hunter2" not in secret.model_dump_json()


class TestValues:
    def test_one_room_of_several_fields(self) -> None:
        found = read_settings(
            {
                "MENDLINE_DATA_DIR": "/var/lib/mendline",
                "MENDLINE_WEB__PORT": "9000",
                "MENDLINE_WEB__HOST": "::1",
                "MENDLINE_DECISION__ACT_AT": "0.9",
                "MENDLINE_DECISION__ASK_FROM_RISK": "medium",
                "MENDLINE_LOG__JSON_LINES": "false",
                "MENDLINE_KNOWLEDGE__FOLDER": "/etc/mendline/knowledge",
            }
        )
        assert found.data_dir == Path("/var/lib/mendline")
        assert (found.web.port, found.web.host) == (9000, "::1")
        assert (found.decision.act_at, found.decision.ask_from_risk) == (0.9, Risk.MEDIUM)
        assert found.log.json_lines is False
        assert found.knowledge.folder == Path("/etc/mendline/knowledge")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("http://a/hook", ("http://a/hook",)),
            ("http://a/hook, http://b/hook?x=1 ,", ("http://a/hook", "http://b/hook?x=1")),
            ("", ()),
        ],
    )
    def test_a_list_is_given_with_commas(self, text: str, expected: tuple[str, ...]) -> None:
        assert read_settings({"MENDLINE_PEOPLE__WEBHOOKS": text}).people.webhooks == expected


class TestFiles:
    def test_a_mounted_secret_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_text("s3cret\n")
        found = read_settings({"MENDLINE_INTAKE__GITHUB_SECRET_FILE": str(path)})
        assert found.intake.github_secret.get_secret_value() == "s3cret"

    def test_any_setting_can_come_from_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "value"
        path.write_text("http://a/, http://b/\n")
        assert read_settings({"MENDLINE_PEOPLE__WEBHOOKS_FILE": str(path)}).people.webhooks == (
            "http://a/",
            "http://b/",
        )

    def test_a_setting_that_ends_in_file_is_a_path_and_not_read(self) -> None:
        found = read_settings({"MENDLINE_DECISION__POLICY_FILE": "/not/there.yaml"})
        assert found.decision.policy_file == Path("/not/there.yaml")

    def test_one_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        said = refused({"MENDLINE_DB__URL_FILE": str(tmp_path / "gone")})
        assert said == {"MENDLINE_DB__URL_FILE": "cannot be read: No such file or directory"}

    def test_one_that_is_no_text_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_bytes(b"\xff\xfe\x00")
        said = refused({"MENDLINE_DB__URL_FILE": str(path)})
        assert said["MENDLINE_DB__URL_FILE"].startswith("cannot be read: ")

    def test_a_value_given_twice_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "port"
        path.write_text("9001")
        said = refused({"MENDLINE_WEB__PORT": "9000", "MENDLINE_WEB__PORT_FILE": str(path)})
        assert said == {"MENDLINE_WEB__PORT_FILE": "MENDLINE_WEB__PORT is set as well"}


class TestRefused:
    @pytest.mark.parametrize(
        "variable",
        [
            "MENDLINE_WEB__PROT",
            "MENDLINE_WEB_PORT",
            "MENDLINE_DATADIR",
            "MENDLINE_WEB",
            "MENDLINE_",
            "MENDLINE_WEB__PORT__X",
            "MENDLINE_FILE",
            "MENDLINE_WEB__PROT_FILE",
            "MENDLINE_web__port",
        ],
    )
    def test_a_variable_that_names_no_setting(self, variable: str) -> None:
        assert refused({variable: "1"}) == {variable: "there is no such setting"}

    def test_all_of_them_at_once(self) -> None:
        assert set(refused({"MENDLINE_A": "1", "MENDLINE_B": "2", "MENDLINE_WEB__PORT": "3"})) == {
            "MENDLINE_A",
            "MENDLINE_B",
        }

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("MENDLINE_WEB__PORT", "eighty"),
            ("MENDLINE_WEB__PORT", "70000"),
            ("MENDLINE_DECISION__ACT_AT", "1.5"),
            ("MENDLINE_DECISION__ASK_FROM_RISK", "some"),
            ("MENDLINE_KNOWLEDGE__EMBEDDER", "bert"),
            ("MENDLINE_PEOPLE__TIMEOUT", "0"),
            ("MENDLINE_LOG__JSON_LINES", "perhaps"),
            ("MENDLINE_LOG__LEVEL", "LOUD"),
        ],
    )
    def test_a_bad_value_names_its_variable(self, variable: str, value: str) -> None:
        assert list(refused({variable: value})) == [variable]

    def test_values_that_contradict_each_other_name_their_room(self) -> None:
        said = refused({"MENDLINE_DECISION__ASK_AT": "0.9", "MENDLINE_DECISION__ACT_AT": "0.6"})
        assert list(said) == ["MENDLINE_DECISION"]
        assert "ask_at lies above act_at" in said["MENDLINE_DECISION"]

    def test_the_value_itself_is_not_repeated(self) -> None:
        # It may be a secret that was pasted into the wrong variable.
        said = refused({"MENDLINE_WEB__PORT": "hunter2"})
        assert "hunter2" not in str(said)
