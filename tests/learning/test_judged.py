"""Of which diagnoses it is known by now whether they were right, and who had said so."""

from datetime import timedelta

from app.db.engine import Database
from app.diagnosis import store as diagnoses
from app.diagnosis.diagnosis import Diagnosis, Finding
from app.diagnosis.tables import LabelRow
from app.diagnosis.weigh import Heard
from app.foundation.clock import FrozenClock
from app.learning.judged import HeardHere, heard, judged
from tests.situations import NOW, diagnosis

RIGHT, WRONG = "network_timeout", "quota_exceeded"


def finding(scorer: str, *types: str) -> Finding:
    scores = {type_: 0.6 / (place + 1) for place, type_ in enumerate(types)}
    return Finding(scorer=scorer, scores=scores, contributes=bool(scores), hint="it says so")


FINDINGS = (finding("words@1", WRONG, RIGHT), finding("cases@1", RIGHT), finding("own@1"))


def one(number: int, type_: str = WRONG) -> Diagnosis:
    return diagnosis(
        id=f"dia_{number}",
        incident_id=f"inc_{number}",
        type=type_,
        findings=FINDINGS,
        at=NOW + timedelta(seconds=number),
    )


def say(database: Database, number: int, type_: str = RIGHT, seconds: int = 100) -> None:
    with database.writing() as session:
        session.add(
            LabelRow(
                id=f"lab_{number}_{seconds}",
                incident_id=f"inc_{number}",
                type=type_,
                actor="ada",
                at=NOW + timedelta(seconds=seconds),
                reason="",
            )
        )


def store(database: Database, *made: Diagnosis) -> None:
    with database.writing() as session:
        for each in made:
            diagnoses.add(session, each)


def read(database: Database) -> tuple[list[bool], dict[str, Heard]]:
    with database.reading() as session:
        return [each.right for each in judged(session)], heard(session)


def test_what_nobody_spoke_of_is_not_judged(database: Database) -> None:
    store(database, one(1))
    assert read(database) == ([], {})


def test_a_label_judges_the_diagnosis_and_each_voice_that_spoke(database: Database) -> None:
    store(database, one(1), one(2, RIGHT), one(3))
    say(database, 1)
    say(database, 2)
    right, voices = read(database)
    assert sorted(right) == [False, True]
    assert voices == {"words@1": Heard(right=0, judged=2), "cases@1": Heard(right=2, judged=2)}


def test_the_last_word_counts(database: Database) -> None:
    store(database, one(1))
    say(database, 1, RIGHT, 100)
    say(database, 1, WRONG, 200)
    right, voices = read(database)
    assert right == [True]
    assert voices["words@1"] == Heard(right=1, judged=1)


def test_it_is_read_anew_after_a_while(database: Database) -> None:
    clock = FrozenClock(NOW)
    here = HeardHere(database, clock)
    store(database, one(1))
    assert here() == {}
    say(database, 1)
    assert here() == {}
    clock.advance(timedelta(seconds=11))
    assert here()["cases@1"] == Heard(right=1, judged=1)
