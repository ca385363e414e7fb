"""Savings: what counts, under which assumptions, by the room, the API and the page."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from app.db import audit
from app.decision.decision import Effect
from app.foundation.errors import Invalid
from app.learning.savings import Assumptions, Cost, Counted, Minutes, Savings, assume, assumptions, savings
from app.people.person import Role
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from app.remediation.tables import UndoRow
from tests import situations
from tests.web.conftest import Enter, World, enter, world

__all__ = ["enter", "world"]
DAY = timedelta(days=1)


def repaired(world: World, ended: Ended = Ended.VERIFIED, type_: str = "network_timeout") -> str:
    """An incident that was repaired and ended so; its id."""
    incident_id = world.incident(fingerprint=f"{ended}-{world.clock.now()}")
    world.diagnose(incident_id, type=type_)
    repair = world.begin(world.decide(incident_id, Effect.ACT))
    world.clock.advance(timedelta(seconds=1))
    end = Outcome(
        remediation_id=repair,
        incident_id=incident_id,
        strategy=situations.RETRY,
        target="t",
        ended=ended,
        at=world.clock.now(),
        says="so",
    )
    with world.database.writing() as session:
        store.end(session, end)
    return incident_id


def saved(world: World, days: int = 30) -> Savings:
    with world.database.reading() as session:
        return savings(session, world.parts.taxonomy, world.clock.now() - days * DAY)


def undone_by_a_person(world: World) -> str:
    incident_id = repaired(world)
    with world.database.writing() as session:
        (repair,) = store.of_incident(session, incident_id)
        session.add(
            UndoRow(remediation_id=repair.id, actor="ada", reason="", asked_at=world.clock.now(), done=True)
        )
    return incident_id


def corrected(world: World, type_: str) -> str:
    incident_id = repaired(world)
    world.parts.learn.correct(incident_id, type_, actor="ada", reason="")
    return incident_id


@pytest.mark.parametrize(
    ("make", "counted", "minutes"),
    [
        (repaired, Counted.CLEAN, 30),
        (lambda world: repaired(world, Ended.UNDONE), Counted.UNDONE, -30),
        (lambda world: repaired(world, Ended.STUCK), Counted.UNDONE, -30),
        (undone_by_a_person, Counted.UNDONE, -30),
        (
            lambda world: corrected(world, "quota_exceeded"),
            Counted.CLEAN,
            30,
        ),  # which the strategy serves too
        (lambda world: corrected(world, "data_corruption"), Counted.WRONG, -30),
    ],
)
def test_what_was_verified_saves_and_what_was_wrong_costs(
    world: World, make: Callable[[World], str], counted: Counted, minutes: float
) -> None:
    incident_id = make(world)
    (one,) = saved(world).incidents
    assert (one.incident_id, one.counted, one.minutes) == (incident_id, counted, minutes)
    assert one.cost == minutes  # at 60 an hour


@pytest.mark.parametrize("ended", [Ended.HANDED_OVER, Ended.STOPPED])
def test_what_was_not_carried_through_counts_nothing(world: World, ended: Ended) -> None:
    repaired(world, ended)
    assert saved(world).incidents == ()


def test_the_sums_are_those_of_the_incidents_in_the_time(world: World) -> None:
    for ended in (Ended.VERIFIED, Ended.VERIFIED, Ended.UNDONE):
        repaired(world, ended)
    found = saved(world)
    (one,) = found.strategies
    assert (one.clean, one.undone, one.wrong, one.minutes) == (2, 1, 0, 30)
    assert (found.minutes, found.cost) == (30, 30)
    world.clock.advance(31 * DAY)
    assert saved(world).strategies == ()
    assert saved(world, 365).minutes == 30


def test_of_the_assumptions_that_fit_the_one_that_names_most_counts() -> None:
    assumed = Assumptions(
        minutes=(
            Minutes(minutes=1),
            Minutes(strategy="s", minutes=2),
            Minutes(type="t", minutes=3),
            Minutes(strategy="s", type="t", minutes=4),
        )
    )
    asked = [("x", "x"), ("s", "x"), ("x", "t"), ("s", "t")]
    assert [assumed.minutes_of(*one) for one in asked] == [1, 2, 3, 4]


def test_the_newest_word_on_each_counts_and_can_be_taken_back(world: World) -> None:
    told = (
        Minutes(minutes=20),
        Minutes(type="network_timeout", minutes=50),
        Minutes(type="network_timeout", minutes=40, reason="asked around"),
        Cost(hourly=90, currency="CHF"),
        Minutes(),
    )
    for one in told:
        with world.database.writing() as session:
            assume(session, world.parts.taxonomy, one, actor="ada", at=world.clock.now())
    with world.database.reading() as session:
        found = assumptions(session)
        assert audit.verify(session) == []
    assert [(one.type, one.minutes, one.actor) for one in found.minutes] == [
        ("", 30, ""),
        ("network_timeout", 40, "ada"),
    ]
    assert (found.cost.hourly, found.cost.currency, found.cost.actor) == (90, "CHF", "ada")
    repaired(world)
    assert saved(world).cost == 60


def test_an_assumption_about_nothing_is_refused(world: World) -> None:
    with world.database.writing() as session, pytest.raises(Invalid) as caught:
        assume(session, world.parts.taxonomy, Minutes(type="x", minutes=1), actor="a", at=world.clock.now())
    assert caught.value.places[0][0] == "type"


def test_by_the_api(world: World) -> None:
    repaired(world)
    client = TestClient(world.app)
    admin = {"Authorization": f"Bearer {world.key(Role.ADMIN)}"}
    viewer = {"Authorization": f"Bearer {world.key(Role.VIEWER)}"}
    minutes = {"type": "network_timeout", "minutes": 90}
    assert client.put("/api/v1/savings/minutes", json=minutes, headers=viewer).status_code == 403
    assert client.put("/api/v1/savings/minutes", json=minutes, headers=admin).status_code == 200
    assert (
        client.put("/api/v1/savings/cost", json={"hourly": 20}, headers=admin).json()["cost"]["hourly"] == 20
    )
    found = client.get("/api/v1/savings?days=7", headers=viewer).json()
    assert (found["minutes"], found["cost"], len(found["incidents"])) == (90, 30, 1)
    for wrong in ({"minutes": -1}, {"minutes": 1, "type": "x"}, {"minutes": "many"}):
        assert client.put("/api/v1/savings/minutes", json=wrong, headers=admin).status_code == 422


def test_on_the_page(world: World, enter: Enter) -> None:
    repaired(world)
    seen = enter(Role.VIEWER).get("/savings")
    assert "30 min" in seen.text
    assert "as shipped" in seen.text
    assert not any(to == "/savings/assumptions" for to, _ in seen.forms)
    admin = enter(Role.ADMIN)
    page = admin.get("/savings?days=7")
    fields = page.form("/savings/assumptions", currency="EUR") | {"hourly": "1.5", "currency": "<b>"}
    told = admin.post("/savings/assumptions", fields)
    assert "An hour is taken to cost 1.5 <b>." in told.text
    assert "<b>" not in told.body
    for wrong in ({"hourly": "x"}, {"hourly": "-1"}, {"hourly": ""}):
        assert "That is no assumption (hourly:" in admin.post("/savings/assumptions", fields | wrong).text
    assert admin.get("/savings?days=8").status == 422
