"""Unexplained incidents that are alike become a gap; all others do not."""

from datetime import timedelta

import pytest

from app.db.engine import Database
from app.diagnosis import store as diagnoses
from app.diagnosis.diagnosis import UNKNOWN, Diagnosis, Ranked
from app.diagnosis.tables import LabelRow
from app.knowledge.embed import HashingEmbedder
from app.knowledge.retrieve import Retriever
from app.learning.gaps import gaps, unexplained
from tests.situations import NOW, diagnosis

DRIFT = "ledger checksum drift in partition {}: settled sum differs from booked sum"
ALONE = ("the printer is on fire", "quorum of badgers not reached", "zebra crossing the firewall")


def one(number: int, text: str, **fields: object) -> Diagnosis:
    return diagnosis(
        **{
            "id": f"dia_{number}",
            "incident_id": f"inc_{number}",
            "type": UNKNOWN,
            "confidence": 0.3,
            "excerpt": text,
            "at": NOW + timedelta(seconds=number),
            **fields,
        }
    )


DRIFTS = [one(number, DRIFT.format(number)) for number in range(4)]
OTHERS = [one(10 + number, text) for number, text in enumerate(ALONE)]


def found(database: Database, *stored: Diagnosis, labelled: str = "") -> list[str]:
    with database.writing() as session:
        for each in stored:
            diagnoses.add(session, each)
        if labelled:
            session.add(
                LabelRow(id="lab_1", incident_id=labelled, type="bad_data", actor="ada", at=NOW, reason="")
            )
    with database.reading() as session:
        return [each.id for each in unexplained(session, 0.5)]


class TestUnexplained:
    def test_the_unknown_and_the_unsure_newest_first(self, database: Database) -> None:
        sure = one(3, "x", type="network_timeout", confidence=0.9)
        unsure = one(2, "x", type="network_timeout", confidence=0.4)
        unknown = one(1, "x", confidence=0.95)
        assert found(database, sure, unsure, unknown) == ["dia_2", "dia_1"]

    def test_what_a_person_has_labelled_is_explained(self, database: Database) -> None:
        assert found(database, *DRIFTS, labelled="inc_2") == ["dia_3", "dia_1", "dia_0"]

    def test_each_incident_once(self, database: Database) -> None:
        again = one(50, "x", incident_id="inc_0")
        assert found(database, *DRIFTS[:2], again) == ["dia_50", "dia_1"]


class TestGaps:
    def test_what_is_alike_is_a_gap_and_the_rest_is_not(self) -> None:
        (gap,) = gaps([*OTHERS, *DRIFTS], Retriever(HashingEmbedder()))
        assert sorted(gap.incidents) == ["inc_0", "inc_1", "inc_2", "inc_3"]
        assert set(gap.name.split("_")) <= {
            "ledger",
            "checksum",
            "drift",
            "partition",
            "settled",
            "sum",
            "booked",
            "differs",
        }
        assert len(gap.examples) == 3
        assert all(example.startswith("ledger checksum drift") for example in gap.examples)
        assert gap.last_seen == NOW + timedelta(seconds=3)

    def test_it_names_the_known_type_that_comes_closest(self) -> None:
        ranked = (Ranked(type=UNKNOWN, probability=0.6), Ranked(type="bad_data", probability=0.3))
        (gap,) = gaps(
            [each.model_copy(update={"ranked": ranked}) for each in DRIFTS], Retriever(HashingEmbedder())
        )
        assert (gap.nearest, gap.confidence) == ("bad_data", 0.3)

    def test_two_of_a_kind_are_too_few(self) -> None:
        assert gaps([*OTHERS, *DRIFTS[:2]], Retriever(HashingEmbedder())) == []
        assert len(gaps([*OTHERS, *DRIFTS[:2]], Retriever(HashingEmbedder()), least=2)) == 1

    def test_two_gaps_have_two_names_and_the_larger_comes_first(self) -> None:
        more = [one(20 + n, f"tape robot {n} refuses the cartridge in slot {n}") for n in range(5)]
        first, second = gaps([*DRIFTS, *more], Retriever(HashingEmbedder()))
        assert (len(first.incidents), len(second.incidents)) == (5, 4)
        assert first.name != second.name

    @pytest.mark.parametrize("told", [[], [one(1, " ")] * 5])
    def test_nothing_told_is_no_gap(self, told: list[Diagnosis]) -> None:
        assert gaps(told, Retriever(HashingEmbedder())) == []
