"""Approvals by two: two different persons, one no ends it, nobody counts twice."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.remediation import approve
from app.remediation.approve import AlreadyAnswered, Answer, Approval, PlanChanged
from app.tables import metadata
from tests.situations import NOW

MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(sqlite_url(tmp_path / "test.db"))
    metadata.create_all(made.engine)
    yield made
    made.close()


@pytest.fixture
def asked(database: Database) -> str:
    """An approval that two people must give."""
    with database.writing() as session:
        return approve.ask(session, "dec_1", "inc_1", "abc", NOW, timedelta(hours=1), people=2)


def say(
    database: Database, approval_id: str, actor: str, given: Answer = Answer.APPROVED, **fields: object
) -> Approval:
    with database.writing() as session:
        at = NOW + (60 if given is Answer.EXPIRED else 1) * MINUTE
        return approve.answer(session, approval_id, given, actor=actor, at=at, **fields)  # type: ignore[arg-type]


def waiting(database: Database) -> list[Approval]:
    with database.reading() as session:
        return approve.waiting(session)


def test_the_first_yes_leaves_it_waiting_and_says_for_whom(database: Database, asked: str) -> None:
    assert waiting(database)[0].waits_for == "two persons"
    after = say(database, asked, "ada", reason="seen")
    assert (after.answer, after.waits_for) == (None, "one more person, because ada has said yes")
    assert [(yes.actor, yes.reason) for yes in after.yeses] == [("ada", "seen")]
    assert waiting(database) == [after]
    with database.reading() as session:
        assert approve.unfollowed(session) == []
        assert approve.of_incident(session, "inc_1") == [after]


def test_the_second_completes_it(database: Database, asked: str) -> None:
    say(database, asked, "ada", reason="seen")
    after = say(database, asked, "bob", reason="me too")
    assert (after.answer, after.actor, after.reason) == (Answer.APPROVED, "ada and bob", "seen; me too")
    assert (after.waits_for, waiting(database)) == ("", [])
    with pytest.raises(AlreadyAnswered, match="ada and bob has answered already"):
        say(database, asked, "eve")


def test_the_same_person_twice_is_refused_and_told_why(database: Database, asked: str) -> None:
    say(database, asked, "ada")
    with pytest.raises(
        AlreadyAnswered, match="ada has said yes already; this plan needs 2 different persons"
    ):
        say(database, asked, "ada")
    assert len(waiting(database)[0].yeses) == 1


@pytest.mark.parametrize("given", [Answer.DENIED, Answer.EXPIRED, Answer.VOID])
def test_one_no_ends_it_also_after_a_yes(database: Database, asked: str, given: Answer) -> None:
    say(database, asked, "ada")
    assert say(database, asked, "bob", given).answer is given
    assert waiting(database) == []
    with pytest.raises(AlreadyAnswered):
        say(database, asked, "eve")


def test_each_yes_is_to_the_plan_that_waits(database: Database, asked: str) -> None:
    say(database, asked, "ada", plan_hash="abc")
    with pytest.raises(PlanChanged):
        say(database, asked, "bob", plan_hash="other")
    assert say(database, asked, "bob", plan_hash="abc").answer is Answer.APPROVED


def test_where_one_is_asked_one_is_enough(database: Database) -> None:
    with database.writing() as session:
        alone = approve.ask(session, "dec_2", "inc_1", "abc", NOW, timedelta(hours=1))
    assert waiting(database)[0].waits_for == "one person"
    assert say(database, alone, "ada").answer is Answer.APPROVED
