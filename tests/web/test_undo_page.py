"""Undoing by the page and by the API, and a playbook as a page shows it."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.decision.decision import Effect
from app.decision.plan import Plan, PlannedAction, Step
from app.knowledge.playbook import Action
from app.people.person import Role
from app.remediation import store, undo
from app.remediation.outcome import ActionEnd, Ended, Outcome
from app.remediation.store import Kind
from tests import situations
from tests.web.conftest import Enter, World


def inner(says: str) -> Plan:
    return situations.plan(
        strategy="run_deduplication_script",
        target="shop/table/orders",
        steps=(Step(index=0, says=says, does={}),),
        undo="put the rows back",
    )


PLAYBOOK = situations.plan(
    strategy="playbook:orders",
    steps=(Step(index=0, says="action 1: remove repeats", does={}),),
    actions=(
        PlannedAction(
            number=1, asked=Action(strategy="run_deduplication_script"), plan=inner("remove 3 rows")
        ),
    ),
    undo="backwards: 1. put the rows back",
)


def repaired(world: World, plan: Plan = PLAYBOOK) -> tuple[str, str]:
    """An incident whose repair was verified; its id and the repair's."""
    incident_id = world.incident()
    world.diagnose(incident_id)
    repair = world.begin(world.decide(incident_id, Effect.ACT, plan=plan))
    with world.database.writing() as session:
        store.note(session, repair, Kind.INTENT, 0, world.clock.now(), plan.steps[0].model_dump_json())
        store.end(
            session,
            Outcome(
                remediation_id=repair,
                incident_id=incident_id,
                strategy=plan.strategy,
                target=plan.target,
                ended=Ended.VERIFIED,
                at=world.clock.now(),
                says="none of 9 rows repeat",
                actions=(
                    ActionEnd(
                        number=1,
                        strategy="run_deduplication_script",
                        target="shop/table/orders",
                        result="verified",
                        says="none of 9 rows repeat",
                    ),
                ),
            ),
        )
    return incident_id, repair


def test_one_click_and_a_reason(world: World, enter: Enter) -> None:
    incident_id, repair = repaired(world)
    browser, action = enter(Role.APPROVER), f"/incidents/{incident_id}/undo/{repair}"
    page = browser.get(f"/incidents/{incident_id}")
    assert "Undo this repair" in page.text
    assert (
        "action 1 run_deduplication_script on shop/table/orders verified none of 9 rows repeat" in page.text
    )
    assert "action 1, step 1 about to" in page.text
    page = browser.submit(page, action, reason="they were no repeats")
    assert "It is being undone." in page.text
    assert "Undoing playbook:orders" in page.text
    assert "Is being undone for" in page.text
    assert world.undoing == [repair]
    with world.database.reading() as session:
        asked = undo.find(session, repair)
    assert asked is not None
    assert (asked.actor[:8], asked.reason) == ("approver", "they were no repeats")
    assert "Undo this repair" not in page.text


def test_who_may_not_sees_no_button_and_is_refused(world: World, enter: Enter) -> None:
    incident_id, repair = repaired(world)
    browser = enter(Role.OPERATOR)
    page = browser.get(f"/incidents/{incident_id}")
    assert "Undo this repair" not in page.text
    form = page.form("/sign-out")
    assert browser.post(f"/incidents/{incident_id}/undo/{repair}", form).status == 403
    assert world.undoing == []


def test_every_step_of_a_playbook_is_shown_before_it_runs(world: World, enter: Enter) -> None:
    incident_id = world.incident()
    world.diagnose(incident_id)
    world.decide(incident_id, plan=PLAYBOOK)
    page = enter(Role.VIEWER).get(f"/incidents/{incident_id}")
    assert "action 1: remove repeats" in page.text
    assert "remove 3 rows" in page.text


@pytest.fixture
def call(world: World) -> Callable[..., Any]:
    client = TestClient(world.app)

    def call(role: Role, path: str, body: dict[str, str]) -> Any:
        headers = {"Authorization": f"Bearer {world.key(role, role.value + path[-8:])}"}
        return client.post(f"/api/v1{path}", json=body, headers=headers)

    return call


def test_by_the_api_once(world: World, call: Callable[..., Any]) -> None:
    _, repair = repaired(world)
    path = f"/remediations/{repair}/undo"
    assert call(Role.OPERATOR, path, {}).status_code == 403
    answer = call(Role.APPROVER, path, {"reason": "wrong rows"})
    assert answer.status_code == 202
    assert (answer.json()["reason"], answer.json()["done"]) == ("wrong rows", None)
    again = call(Role.ADMIN, path, {})
    assert (again.status_code, again.json()["code"]) == (409, "cannot_be_undone")
    assert call(Role.VIEWER, "/remediations/rem_none/undo", {}).status_code == 403
    assert world.undoing == [repair]


def test_one_that_is_not_there(world: World, call: Callable[..., Any]) -> None:
    assert call(Role.APPROVER, "/remediations/rem_none/undo", {}).status_code == 404
