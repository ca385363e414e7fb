"""mendline people check and deliveries, the doctor, and the trail's line of who was told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from app.db.engine import Database, sqlite_url
from app.foundation.clock import SystemClock
from app.people import store
from app.people.person import Role
from tests.channels import SECRET, FarHook, FarJira
from tests.commands.conftest import Filled, Mendline
from tests.contracts.test_channels import message
from tests.web.conftest import World

WRONG = """people:
  - {name: ada, role: aprover}
channels:
  hook: {type: webhook, url: {file: /x}}
routes:
  - to: [hok]
"""


@pytest.fixture
def jira() -> Iterator[FarJira]:
    with FarJira().running() as far:
        assert isinstance(far, FarJira)
        yield far


@pytest.fixture
def hook() -> Iterator[FarHook]:
    with FarHook().running() as far:
        assert isinstance(far, FarHook)
        yield far


@pytest.fixture
def file(data: Path, jira: FarJira, hook: FarHook) -> Path:
    data.mkdir(exist_ok=True)
    channels = {}
    for name, far in (("tickets", jira), ("hook", hook)):
        (data / name).write_text(far.secret)
        channels[name] = far.entry(str(data / name))
    path = data / "people.yaml"
    path.write_text(yaml.safe_dump({"channels": channels, "routes": [{"to": ["hook"]}]}))
    return path


class TestCheck:
    def test_without_a_file_there_is_nobody_and_that_is_no_mistake(self, mendline: Mendline) -> None:
        done = mendline("people", "check")
        assert done.code == 0
        assert done.out.splitlines() == [
            "no channel is set up: nobody is told of anything",
            "people.yaml: ok, people 0, groups 0, channels 0, routes 0",
        ]

    def test_mistakes_are_told_with_line_and_nearest_word(self, mendline: Mendline, tmp_path: Path) -> None:
        (tmp_path / "mine.yaml").write_text(WRONG)
        done = mendline("people", "check", tmp_path / "mine.yaml")
        assert done.code == 1
        assert "line 2 (people.0.role): no such value: 'aprover'; did you mean 'approver'?" in done.err
        (tmp_path / "mine.yaml").write_text(WRONG.replace("aprover", "approver"))
        done = mendline("people", "check", tmp_path / "mine.yaml")
        assert "line 6 (routes.0.to): there is no channel 'hok'; did you mean 'hook'?" in done.err

    @pytest.mark.parametrize("entry", ["{type: pager}", "{type: jira, site: https://x, projct: OPS}", "{}"])
    def test_a_channel_that_is_none(self, mendline: Mendline, tmp_path: Path, entry: str) -> None:
        (tmp_path / "mine.yaml").write_text(f"channels:\n  one: {entry}\n")
        done = mendline("people", "check", tmp_path / "mine.yaml")
        assert done.code == 1
        assert "line 2 (channels.one" in done.err
        assert "Traceback" not in done.err

    def test_a_file_that_is_not_there(self, mendline: Mendline) -> None:
        done = mendline("people", "check", "nowhere.yaml")
        assert (done.code, "cannot be read" in done.err) == (1, True)

    def test_each_channel_is_tried_and_nobody_is_told(
        self, mendline: Mendline, file: Path, jira: FarJira, hook: FarHook
    ) -> None:
        done = mendline("people", "check")
        assert done.code == 0, done.err
        assert "tickets ok  writes to 'Operations'" in done.out
        assert "hook ok  set up; --send shows whether it answers" in done.out
        assert (jira.issues, hook.got) == ({}, [])
        (file.parent / "tickets").write_text("wr0ng")
        done = mendline("people", "check")
        assert (done.code, "tickets wrong  answered 401" in done.out) == (3, True)
        assert "1 of 2 channels cannot be used" in done.err

    def test_with_send_a_message_arrives(
        self, mendline: Mendline, file: Path, jira: FarJira, hook: FarHook
    ) -> None:
        done = mendline("people", "check", "--send")
        assert done.code == 0, done.err
        assert hook.got[0]["text"].startswith("this is a test")
        assert jira.threads == 1
        hook.answers = [(500, {})]
        done = mendline("people", "check", "--send")
        assert (done.code, "hook wrong  answered 500" in done.out) == (3, True)
        assert SECRET not in done.out + done.err
        assert hook.url not in done.out + done.err


def test_the_doctor_looks_at_the_file(mendline: Mendline, data: Path) -> None:
    data.mkdir()
    (data / "people.yaml").write_text(WRONG)
    found = {one["part"]: one for one in json.loads(mendline("doctor", "--json").out)}
    assert found["people"]["state"] == "wrong"
    assert "line 2" in found["people"]["says"]
    (data / "people.yaml").write_text("{}")
    found = {one["part"]: one for one in json.loads(mendline("doctor", "--json").out)}
    assert found["people"]["state"] == "ok"


class TestDeliveries:
    @pytest.fixture
    def told(self, filled: Filled, data: Path) -> str:
        """An incident of which one message arrived, one is late and one was given up."""
        database, now = Database(sqlite_url(data / "mendline.db")), SystemClock().now()
        with database.writing() as session:
            for channel in ("chat", "pager", "post"):
                store.queue(session, message(incident_id=filled.incident), [channel], now)
            by_channel = {one.channel: one.id for one in store.deliveries(session, filled.incident)}
            store.tried(session, by_channel["chat"], says="", next_at=None, at=now)
            store.tried(session, by_channel["pager"], says="answered 503", next_at=now, at=now)
            store.tried(session, by_channel["post"], says="answered 401", next_at=None, at=now)
        database.close()
        return filled.incident

    STATES = {"chat": "delivered", "pager": "late", "post": "lost"}

    def test_by_command(self, mendline: Mendline, told: str) -> None:
        found = json.loads(mendline("people", "deliveries", "--json").out)
        assert {one["channel"]: one["state"] for one in found} == {"pager": "late", "post": "lost"}
        found = json.loads(mendline("people", "deliveries", "--incident", told, "--json").out)
        assert {one["channel"]: one["state"] for one in found} == self.STATES
        assert "answered 401" in mendline("people", "deliveries").out

    def test_by_api_and_on_the_page(self, told: str, data: Path) -> None:
        world = World(data)
        client = TestClient(world.app)
        assert client.get("/api/v1/deliveries").status_code == 401
        client.headers["Authorization"] = f"Bearer {world.key(Role.VIEWER)}"
        found = client.get("/api/v1/deliveries").json()["items"]
        assert {one["channel"]: one["says"] for one in found} == {
            "pager": "answered 503",
            "post": "answered 401",
        }
        found = client.get("/api/v1/deliveries", params={"incident": told}).json()["items"]
        assert {one["channel"]: one["state"] for one in found} == self.STATES
        trail = client.get(f"/api/v1/incidents/{told}").json()
        assert [one["message"]["kind"] for one in trail["told"]] == ["waiting"] * 3
        world.close()

    def test_in_the_trail(self, mendline: Mendline, told: str) -> None:
        said = mendline("explain", told).out
        assert "waiting to chat  delivered" in said
        assert "waiting to post  lost: answered 401" in said
