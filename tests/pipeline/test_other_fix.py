"""Another fix: the strategy that a person asks for instead is planned, asked about, and the one that runs."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.decision.decision import Allows, Effect
from app.decision.policy import Policy, Rule
from app.decision.settings import DecisionSettings
from app.remediation import approve, store
from app.remediation.approve import Answer
from app.tables import metadata
from tests.pipeline.governed import Governed, entry, named

RETRY, RECOVER = "retry_with_exponential_backoff", "recover_service"
TARGET = entry("load", RETRY, RECOVER)
ASKS = Policy(rules=(Rule(name="ask", then=Allows.ASK, because="we are careful"),))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Governed]:
    database = Database(sqlite_url(tmp_path / "mendline.db"))
    metadata.create_all(database.engine)
    made = Governed(tmp_path, database, ASKS, DecisionSettings(), [TARGET])
    yield made
    made.close()
    database.close()


def strategy_of(site: Governed, remediation_id: str) -> str:
    with site.database.reading() as session:
        return store.get(session, remediation_id).strategy


def ask_for(site: Governed, other: str) -> Effect:
    (waiting,) = site.waiting()
    with site.database.writing() as session:
        approve.answer(session, waiting.id, Answer.DENIED, actor="ada", at=site.clock.now(), other=other)
    with site.database.reading() as session:
        decision_id = approve.get(session, waiting.id).decision_id
    return site.decided(decision_id, waiting.id).effect


def test_its_yes_lets_that_strategy_run(site: Governed) -> None:
    site.happen(named(TARGET), RETRY)
    assert ask_for(site, RECOVER) is Effect.ASK
    (waiting,) = site.waiting()
    begun = site.answer(waiting, "bob")
    assert begun is not None
    assert begun.effect is Effect.ACT
    assert strategy_of(site, begun.remediation_id) == RECOVER


def test_also_when_its_plan_changed_and_was_asked_about_anew(site: Governed) -> None:
    site.happen(named(TARGET), RETRY)
    ask_for(site, RECOVER)
    (waiting,) = site.waiting()
    site.changed()
    asked = site.answer(waiting, "bob")
    assert asked is not None
    assert asked.effect is Effect.ASK
    site.clock.advance(timedelta(minutes=1))
    (again,) = site.waiting()
    begun = site.answer(again, "bob")
    assert begun is not None
    assert (begun.effect, strategy_of(site, begun.remediation_id)) == (Effect.ACT, RECOVER)


def test_and_back_to_the_first(site: Governed) -> None:
    site.happen(named(TARGET), RETRY)
    ask_for(site, RECOVER)
    ask_for(site, RETRY)
    (waiting,) = site.waiting()
    begun = site.answer(waiting, "bob")
    assert begun is not None
    assert (begun.effect, strategy_of(site, begun.remediation_id)) == (Effect.ACT, RETRY)
