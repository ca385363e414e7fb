"""Several people, or one who clicks twice, in the same moment: one action and a clear message, on both databases."""

import threading
from collections.abc import Callable
from datetime import timedelta

from app.db.engine import Database
from app.remediation import approve
from app.remediation.approve import AlreadyAnswered, Answer, Approval
from tests.situations import NOW


def at_once(*acts: Callable[[], Approval]) -> tuple[list[Approval], list[str]]:
    """What became of acts that begin together: those that were taken, and what the others were told."""
    together = threading.Barrier(len(acts))
    taken: list[Approval] = []
    refused: list[str] = []
    broken: list[BaseException] = []

    def run(act: Callable[[], Approval]) -> None:
        together.wait()
        try:
            taken.append(act())
        except AlreadyAnswered as error:
            refused.append(error.says)
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    return taken, refused


def ask(database: Database, people: int) -> str:
    with database.writing() as session:
        return approve.ask(session, "dec_1", "inc_1", "abc", NOW, timedelta(hours=1), people)


def answer(database: Database, approval_id: str, actor: str, given: Answer = Answer.APPROVED) -> Approval:
    with database.writing() as session:
        return approve.answer(session, approval_id, given, actor=actor, at=NOW + timedelta(minutes=1))


def test_a_double_click_is_one_yes(each_database: Database) -> None:
    asked = ask(each_database, people=1)
    taken, refused = at_once(*[lambda: answer(each_database, asked, "ada")] * 4)
    assert [one.answer for one in taken] == [Answer.APPROVED]
    assert len(refused) == 3
    assert {says.split(":")[0] for says in refused} == {"ada has answered already"}


def test_a_yes_and_a_no_are_one_answer(each_database: Database) -> None:
    asked = ask(each_database, people=1)
    taken, refused = at_once(
        lambda: answer(each_database, asked, "ada"),
        lambda: answer(each_database, asked, "bob", Answer.DENIED),
    )
    (one,), (told,) = taken, refused
    assert told.startswith(f"{one.actor} has answered already: {one.answer}")


def test_of_three_people_and_their_double_clicks_two_are_counted(each_database: Database) -> None:
    asked = ask(each_database, people=2)
    names = ["ada", "ada", "bob", "bob", "eve", "eve"]
    taken, refused = at_once(*(lambda name=name: answer(each_database, asked, name) for name in names))  # type: ignore[misc]
    assert (len(taken), len(refused)) == (2, 4)
    with each_database.reading() as session:
        found = approve.get(session, asked)
        assert approve.unfollowed(session) == [asked]
    assert found.answer is Answer.APPROVED
    assert len({yes.actor for yes in found.yeses}) == len(found.yeses) == 2


def test_an_answer_and_a_snooze_leave_one_that_is_answered(each_database: Database) -> None:
    asked = ask(each_database, people=1)

    def snooze() -> Approval:
        with each_database.writing() as session:
            at = NOW + timedelta(minutes=1)
            until = NOW + timedelta(hours=2)
            return approve.snooze(session, asked, until, actor="bob", at=at, most=timedelta(days=1))

    at_once(lambda: answer(each_database, asked, "ada"), snooze)
    with each_database.reading() as session:
        assert approve.get(session, asked).answer is Answer.APPROVED
        assert approve.waiting(session) == []


def test_two_processes_remind_once(each_database: Database) -> None:
    now = NOW + timedelta(minutes=15)
    with each_database.writing() as session:
        asked = approve.ask(session, "dec_1", "inc_1", "abc", NOW, timedelta(hours=1), remind_at=now)
    claimed: list[bool] = []

    def remind() -> Approval:
        with each_database.writing() as session:
            claimed.append(approve.remind_next(session, asked, now, now + timedelta(minutes=15)))
            return approve.get(session, asked)

    at_once(remind, remind, remind)
    assert sorted(claimed) == [False, False, True]
