"""The corrections that would help most."""

from app.diagnosis.diagnosis import UNKNOWN, Diagnosis, Ranked
from app.knowledge.case import Case, Origin
from app.knowledge.embed import HashingEmbedder
from app.knowledge.retrieve import Retriever
from app.learning.wanted import wanted
from tests.situations import diagnosis


def doubtful(number: int, excerpt: str, sure: float) -> Diagnosis:
    ranked = (Ranked(type=UNKNOWN, probability=0.4), Ranked(type="quota_exceeded", probability=sure))
    return diagnosis(
        id=f"dia_{number}",
        incident_id=f"inc_{number}",
        type=UNKNOWN,
        confidence=sure,
        excerpt=excerpt,
        ranked=ranked,
    )


def several(first: int, count: int, excerpt: str, sure: float) -> list[Diagnosis]:
    return [doubtful(first + n, excerpt, sure) for n in range(count)]


MANY = several(0, 5, "the tape robot lost its arm", 0.3)
SURER = several(10, 6, "licence server says seats are all taken", 0.9)
ONE = several(20, 1, "something odd happened", 0.1)


def test_where_a_label_moves_most_doubt_comes_first() -> None:
    found = wanted([*ONE, *SURER, *MANY], Retriever(HashingEmbedder()))
    assert [(one.moves, one.excerpt) for one in found] == [
        (5, MANY[0].excerpt),
        (1, ONE[0].excerpt),
        (6, SURER[0].excerpt),
    ]
    assert [ranked.type for ranked in found[0].suggested] == ["quota_exceeded"]
    assert len(wanted([*ONE, *SURER, *MANY], Retriever(HashingEmbedder()), most=2)) == 2


def test_what_was_answered_is_not_asked_again() -> None:
    retriever = Retriever(HashingEmbedder())
    case = Case(id="c", text=MANY[0].excerpt, type="quota_exceeded", origin=Origin.CORRECTION)
    retriever.add_case(case, retriever.embed(case.text))
    assert [one.moves for one in wanted([*MANY, *ONE], retriever)] == [1]


def test_a_shipped_case_that_is_near_is_no_answer() -> None:
    retriever = Retriever(HashingEmbedder())
    case = Case(id="c", text=MANY[0].excerpt, type="quota_exceeded")
    retriever.add_case(case, retriever.embed(case.text))
    assert [one.moves for one in wanted(MANY, retriever)] == [5]


def test_without_doubt_nothing_is_asked() -> None:
    assert wanted([], Retriever(HashingEmbedder())) == []
