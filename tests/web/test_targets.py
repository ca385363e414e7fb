"""Targets by API: for administrators, checked, beside the file that people keep."""

from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from app.db import audit
from app.people.person import Role
from app.remediation import store as repairs
from app.remediation.outcome import Ended, Outcome
from app.systems import store
from tests import situations
from tests.remediation.test_register import CREDENTIAL, JOB, entry
from tests.web.conftest import World

KEY = "shop/job/load"


class Client:
    def __init__(self, world: World, role: Role) -> None:
        self._headers = {"Authorization": f"Bearer {world.key(role)}"}
        self._client = TestClient(world.app, raise_server_exceptions=False)

    def ask(self, method: str, key: str = "", body: Any = None) -> tuple[int, Any]:
        path = f"/api/v1/targets/{key}" if key else "/api/v1/targets"
        answer = self._client.request(method, path, headers=self._headers, json=body)
        return answer.status_code, answer.json() if answer.content else None


@pytest.fixture
def admin(world: World) -> Client:
    return Client(world, Role.ADMIN)


def keep_in_file(world: World, *entries: dict[str, Any]) -> None:
    world.parts.targets.path.write_text(yaml.safe_dump({"targets": list(entries)}))


def test_registered_read_changed_and_removed(world: World, admin: Client) -> None:
    body = entry(JOB, owner="data", group="warehouse", allow=["retry_with_exponential_backoff"])
    assert admin.ask("PUT", KEY, body) == (200, {"key": KEY, "kept_in": "database", "target": body})
    assert admin.ask("GET", KEY) == (200, {"key": KEY, "kept_in": "database", "target": body})
    found = world.parts.targets.find(KEY)
    assert found is not None
    assert (found.owner, found.group) == ("data", "warehouse")
    assert admin.ask("PUT", KEY, {**body, "owner": "ops"})[0] == 200
    assert [one["owner"] for one in admin.ask("GET")[1]["items"]] == ["ops"]
    assert admin.ask("DELETE", KEY) == (204, None)
    assert world.parts.targets.all() == {}
    assert admin.ask("DELETE", KEY)[0] == 404
    assert admin.ask("GET", KEY)[0] == 404


def test_who_may(world: World) -> None:
    for role in (Role.VIEWER, Role.OPERATOR, Role.APPROVER):
        client = Client(world, role)
        assert client.ask("GET")[0] == 200
        assert [client.ask(*how)[0] for how in (("GET", KEY), ("PUT", KEY, entry(JOB)), ("DELETE", KEY))] == [
            403
        ] * 3


def test_the_file_holds(world: World, admin: Client) -> None:
    admin.ask("PUT", KEY, entry(JOB, owner="by api"))
    keep_in_file(world, entry(JOB, owner="by file"))
    (item,) = admin.ask("GET")[1]["items"]
    assert (item["owner"], item["kept_in"]) == ("by file", "file")
    status, problem = admin.ask("PUT", KEY, entry(JOB))
    assert (status, problem["code"]) == (409, "conflict")
    assert problem["detail"] == f"{KEY} stands in targets.yaml, which people keep; change it there"
    assert admin.ask("DELETE", KEY)[0] == 204  # what the file hides
    status, problem = admin.ask("DELETE", KEY)
    assert (status, problem["code"]) == (409, "conflict")
    keep_in_file(world)
    assert admin.ask("GET")[1]["items"] == []


def test_while_it_is_under_repair_it_stays_as_it_is(world: World, admin: Client) -> None:
    admin.ask("PUT", KEY, entry(JOB))
    incident_id = world.incident()
    world.diagnose(incident_id)
    remediation_id = world.begin(world.decide(incident_id, plan=situations.plan(target=KEY)))
    for how in (("PUT", KEY, entry(JOB, owner="ops")), ("DELETE", KEY)):
        status, problem = admin.ask(*how)
        assert (status, problem["detail"]) == (
            409,
            f"a repair of {KEY} is under way; try again when it has ended",
        )
    with world.database.writing() as session:
        ended = {"ended": Ended.UNDONE, "at": world.clock.now(), "says": "", "strategy": "s", "target": KEY}
        repairs.end(session, Outcome(remediation_id=remediation_id, incident_id=incident_id, **ended))
    assert admin.ask("DELETE", KEY)[0] == 204


def test_the_register_is_in_the_audit_trail(world: World, admin: Client) -> None:
    admin.ask("PUT", KEY, entry(JOB))
    admin.ask("PUT", KEY, entry(JOB, owner="ops"))
    with world.database.reading() as session:
        (first, second) = (one for one in audit.exported(session) if one["kind"] == "target")
    assert first["ref"] == KEY
    assert second["row"]["actor"] == "admin"
    admin.ask("DELETE", KEY)
    with world.database.reading() as session:
        assert audit.verify(session) == []


def test_the_key_is_that_of_the_body(admin: Client) -> None:
    status, problem = admin.ask("PUT", "shop/job/other", entry(JOB))
    assert (status, problem["errors"]) == (422, [{"place": "(address)", "says": f"the body describes {KEY}"}])
    staging = f"{KEY}@staging"
    assert admin.ask("PUT", staging, entry(JOB, environment="staging"))[0] == 200
    assert admin.ask("GET", staging)[0] == 200


def test_a_secret_is_refused_and_goes_nowhere(
    world: World, admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for connection in ({**JOB, "token": "hunter2-in-clear"}, {**JOB, "run": "https://a:hunter2@b/"}):
        status, problem = admin.ask("PUT", KEY, entry(connection))
        assert status == 422
        assert "hunter2" not in str(problem)
    assert "hunter2" not in caplog.text
    assert world.parts.targets.all() == {}


def test_only_programs_that_the_settings_name(admin: Client) -> None:
    status, problem = admin.ask("PUT", KEY, entry(CREDENTIAL))
    assert (status, len(problem["errors"])) == (422, 4)
    inside = {
        name: ["/usr/bin/vaultctl", *value[1:], "x"] for name, value in CREDENTIAL.items() if name != "type"
    }
    assert admin.ask("PUT", KEY, entry({"type": "credential", **inside}))[0] == 200


@pytest.mark.parametrize("body", [[], "x", 1, None, {}, {"connection": {"type": "nothing"}}])
def test_other_bodies_are_refused(admin: Client, body: Any) -> None:
    assert admin.ask("PUT", KEY, body)[0] == 422


def test_a_row_of_another_version_is_left_out_and_told(world: World, admin: Client) -> None:
    admin.ask("PUT", KEY, entry(JOB))
    with world.database.writing() as session:
        store.put(session, "old", {"was": "otherwise"}, actor="ada", at=world.clock.now())
    found = admin.ask("GET")[1]
    assert [item["key"] for item in found["items"]] == [KEY]
    assert found["problem"] == "the target old is not valid any more"
    assert admin.ask("DELETE", "old")[0] == 204
    assert admin.ask("GET")[1]["problem"] is None
