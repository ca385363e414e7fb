"""The same acts through every door, with the same record: API, command line and web pages."""

import getpass
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlmodel import select
from starlette.testclient import TestClient

from app.foundation.clock import SystemClock
from app.people.person import Role
from app.remediation import approve
from app.remediation.tables import SnoozeRow
from tests import situations
from tests.commands.conftest import Filled, Mendline
from tests.web.conftest import Browser, World

DOORS = ("api", "command", "page")
OTHER = "escalate_to_human"


class Doors:
    """Every way in, for ada; each act gives whether it was taken, and what was said."""

    def __init__(self, world: World, filled: Filled, mendline: Mendline) -> None:
        self.world, self.filled, self.mendline = world, filled, mendline
        key = world.key(Role.APPROVER, "ada")
        self.client = TestClient(world.app, headers={"Authorization": f"Bearer {key}"})
        self.browser = Browser(world.app)
        self.browser.sign_in(key)
        # As somebody has it open who has not looked since.
        self.open = self.browser.get(f"/incidents/{filled.incident}")

    def api(self, verb: str, reason: str, **fields: Any) -> tuple[bool, str]:
        hash_ = {} if verb == "snooze" else {"plan_hash": self.filled.plan_hash}
        body = {"reason": reason, **hash_, **fields}
        answer = self.client.post(f"/api/v1/approvals/{self.filled.approval}/{verb}", json=body)
        return answer.is_success, answer.text

    def command(self, verb: str, reason: str, **fields: Any) -> tuple[bool, str]:
        words = [f"--{name.replace('right_type', 'type')}={value}" for name, value in fields.items()]
        done = self.mendline(verb, self.filled.approval, f"--reason={reason}", *words)
        return done.code == 0, done.out + done.err

    def page(self, verb: str, reason: str, **fields: Any) -> tuple[bool, str]:
        place = "snooze" if verb == "snooze" else "answers"
        answer = {"approve": "approved", "deny": "denied"}.get(verb)
        to = f"/incidents/{self.filled.incident}/{place}/{self.filled.approval}"
        given = {name: str(value) for name, value in fields.items()}
        having = {"answer": answer} if answer else None
        seen = self.browser.submit(self.open, to, having, reason=reason, **given)
        (line,) = [given for tag, given in seen.tags if "flash" in (given.get("class") or "").split()]
        return "bad" not in (line.get("class") or ""), seen.text


@pytest.fixture
def world(filled: Filled, data: Path) -> Iterator[World]:
    (data / "people.yaml").write_text(
        yaml.safe_dump({"people": [{"name": "ada", "role": "approver", "also": [getpass.getuser()]}]})
    )
    made = World(data)
    made.clock.advance(SystemClock().now() - situations.NOW)
    yield made
    made.close()


@pytest.fixture
def doors(world: World, filled: Filled, mendline: Mendline) -> Doors:
    return Doors(world, filled, mendline)


every_door = pytest.mark.parametrize("by", DOORS)


def record(doors: Doors) -> dict[str, Any]:
    """What is kept of the answer, without its time."""
    with doors.world.database.reading() as session:
        found = approve.get(session, doors.filled.approval)
    kept = found.model_dump(
        include={"answer", "actor", "reason", "right_type", "other", "plan_hash", "people"}
    )
    return {**kept, "yeses": [(yes.actor, yes.reason) for yes in found.yeses]}


def expected(doors: Doors, answer: str, **fields: Any) -> dict[str, Any]:
    return {
        "answer": answer,
        "actor": "ada",
        "reason": "so",
        "right_type": "",
        "other": "",
        "plan_hash": doors.filled.plan_hash,
        "people": 1,
        "yeses": [("ada", "so")] if answer == "approved" else [],
        **fields,
    }


@every_door
def test_approved(doors: Doors, by: str) -> None:
    assert getattr(doors, by)("approve", "so")[0]
    assert record(doors) == expected(doors, "approved")


@every_door
def test_denied(doors: Doors, by: str) -> None:
    assert getattr(doors, by)("deny", "so")[0]
    assert record(doors) == expected(doors, "denied")


@every_door
def test_denied_with_the_right_type(doors: Doors, by: str) -> None:
    assert getattr(doors, by)("deny", "so", right_type="quota_exceeded")[0]
    assert record(doors) == expected(doors, "denied", right_type="quota_exceeded")


@every_door
def test_another_fix(doors: Doors, by: str) -> None:
    assert getattr(doors, by)("deny", "so", other=OTHER)[0]
    assert record(doors) == expected(doors, "denied", other=OTHER)


@every_door
def test_put_off(doors: Doors, by: str) -> None:
    assert getattr(doors, by)("snooze", "so", minutes=60)[0]
    with doors.world.database.reading() as session:
        (row,) = session.exec(select(SnoozeRow)).all()
        asked = approve.get(session, doors.filled.approval)
    assert (row.actor, row.until - row.at) == ("ada", timedelta(hours=1))
    assert (asked.snoozed_until, asked.answer) == (row.until, None)


@every_door
def test_the_second_answer_is_told_by_whom_the_first_was(doors: Doors, by: str) -> None:
    getattr(doors, by)("approve", "so")
    for again in DOORS:
        taken, said = getattr(doors, again)("deny", "no")
        assert not taken, again
        assert "ada" in said
    assert record(doors) == expected(doors, "approved")
