"""How honest confidence is, as the API tells it and as the page draws it."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.decision.decision import Effect
from app.people.person import Role
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from tests import situations
from tests.diagnosis import small
from tests.web.conftest import Enter, World


def repaired(world: World, times: int, ended: Ended, confidence: float) -> None:
    """Incidents that were diagnosed, repaired without asking, and ended so."""
    for number in range(times):
        incident_id = world.incident(message=f"{ended} at {confidence} for the {number}th time")
        world.diagnose(incident_id, confidence=confidence)
        repair_id = world.begin(world.decide(incident_id, Effect.ACT))
        outcome = Outcome(
            remediation_id=repair_id,
            incident_id=incident_id,
            strategy=situations.RETRY,
            target="t",
            ended=ended,
            at=world.clock.now(),
            says="so",
        )
        with world.database.writing() as session:
            store.end(session, outcome)


def told(world: World) -> dict[str, Any]:
    client = TestClient(world.app)
    key = world.key(Role.VIEWER, "reader")
    answer = client.get("/api/v1/calibration", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_before_the_models_are_there_the_api_says_come_back(world: World) -> None:
    client = TestClient(world.app)
    headers = {"Authorization": f"Bearer {world.key(Role.VIEWER)}"}
    answer = client.get("/api/v1/calibration", headers=headers)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_nobody_without_a_key_reads_it(world: World) -> None:
    assert TestClient(world.app).get("/api/v1/calibration").status_code == 401


def test_what_was_measured_on_the_cases_is_there_from_the_start(world: World) -> None:
    world.brain, _ = small.make(None)
    found = told(world)
    assert found["here"] is None
    shipped = found["shipped"]
    assert shipped["n"] == len(small.cases())
    assert sum(one["n"] for one in shipped["bins"]) == shipped["n"]
    assert shipped["curve"][-1]["coverage"] == 1
    retry = found["strategies"][situations.RETRY]
    assert (retry["outcomes"], retry["bound"], retry["clean_needed"], retry["holds"]) == (0, 1.0, 59, False)


def test_outcomes_here_move_it(world: World) -> None:
    world.brain, _ = small.make(None)
    repaired(world, 3, Ended.VERIFIED, 0.9)
    repaired(world, 1, Ended.UNDONE, 0.8)
    repaired(world, 2, Ended.VERIFIED, 0.6)
    found = told(world)
    # An undone repair says nothing of the type; it is a wrong action all the same.
    assert (found["here"]["n"], found["here"]["accuracy"]) == (5, 1.0)
    retry = found["strategies"][situations.RETRY]
    assert (retry["outcomes"], retry["wrong"]) == (4, 1)
    assert retry["says"].endswith("until it may run alone (at most 5% wrong is then proven)")


def test_a_person_s_word_counts_for_what_they_saw(world: World) -> None:
    world.brain, _ = small.make(None)
    incident_id = world.incident()
    world.diagnose(incident_id, confidence=0.8)
    world.clock.advance(timedelta(minutes=1))
    world.parts.learn.correct(incident_id, "permission_denied", actor="ada", reason="the log says so")
    world.clock.advance(timedelta(minutes=1))
    # What was diagnosed after the correction, with its help, proves nothing of the first answer.
    world.diagnose(incident_id, type="permission_denied", confidence=0.99)
    here = told(world)["here"]
    assert (here["n"], here["accuracy"]) == (1, 0.0)
    assert here["bins"][0]["confidence"] == pytest.approx(0.8)


def test_the_page_draws_both_plots(world: World, enter: Enter) -> None:
    page = enter(Role.VIEWER).get("/calibration")
    assert "not ready to diagnose" in page.text
    assert page.text.count("Nothing to measure yet") == 2
    world.brain, _ = small.make(None)
    repaired(world, 2, Ended.VERIFIED, 0.9)
    page = enter(Role.APPROVER).get("/calibration")
    assert "Nothing to measure yet" not in page.text
    drawn = [given for tag, given in page.tags if tag == "svg" and given.get("class") == "plot"]
    assert len(drawn) == 4
    assert all(given["role"] == "img" and given["aria-labelledby"] for given in drawn)
    assert sum(tag == "polyline" and bool(given["points"]) for tag, given in page.tags) == 2
    assert "57 more clean outcomes until it may run alone" in page.text


def test_the_strategies_page_says_what_is_missing(enter: Enter) -> None:
    assert "59 more clean outcomes until" in enter(Role.VIEWER).get("/strategies").text
