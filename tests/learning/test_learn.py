"""What outcomes and corrections leave behind, in the rows and in memory."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.diagnosis import store as diagnoses
from app.foundation.clock import FrozenClock
from app.foundation.errors import Invalid, NotFound
from app.incidents.group import Group
from app.intake.event import Report
from app.intake.ingest import prepare
from app.knowledge import store as knowledge
from app.knowledge.case import Case, Origin
from app.knowledge.embed import HashingEmbedder
from app.knowledge.load import load_shipped
from app.knowledge.retrieve import Retriever
from app.knowledge.tables import CaseRow
from app.learning.learn import Learn, newest_label
from app.remediation.outcome import Ended, Outcome
from app.tables import metadata
from tests.diagnosis import small
from tests.situations import NOW, RETRY, TARGET, diagnosis

MESSAGE = "connection to db timed out"  # as in `situations`


class Site:
    """An incident, diagnosed as a time-out, and what was learned of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FrozenClock(NOW)
        self.database = Database(sqlite_url(folder / "test.db"))
        metadata.create_all(self.database.engine)
        self.retriever = Retriever(HashingEmbedder())
        self.retriever.load_cases([], HashingEmbedder().embed([]))
        self.learn = Learn(self.database, self.clock, small.taxonomy(), lambda: self.retriever)
        event = prepare(Report(message=MESSAGE, target=TARGET), "airflow", NOW)
        (accepted,) = Group(self.database, self.clock, lambda opened: None).commit([event])
        assert accepted.incident_id
        self.incident = accepted.incident_id

    def diagnose(self) -> None:
        with self.database.writing() as session:
            diagnoses.add(session, diagnosis(incident_id=self.incident))

    def outcome(self, ended: Ended = Ended.VERIFIED, remediation: str = "rem_1") -> Case | None:
        return self.learn.learn(
            Outcome(
                remediation_id=remediation,
                incident_id=self.incident,
                strategy=RETRY,
                target=TARGET.key,
                ended=ended,
                at=self.clock.now(),
                says="the second run succeeded",
            )
        )

    def correct(self, type_: str, reason: str = "the provider says so") -> Case:
        self.clock.advance(timedelta(seconds=1))
        return self.learn.correct(self.incident, type_, actor="ada", reason=reason)

    def kept(self) -> list[Case]:
        """The cases in force after a restart."""
        with self.database.reading() as session:
            return [case for _, case in knowledge.newer(session, 0, 10)]

    def found(self) -> list[Case]:
        """Those that the next like event is told of."""
        return [near.case for near in self.retriever.nearest_cases(MESSAGE)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.database.close()


class TestLearn:
    def test_a_verified_outcome_is_a_case_at_once(self, site: Site) -> None:
        site.diagnose()
        case = site.outcome()
        assert case is not None
        assert (case.type, case.strategy, case.success) == ("network_timeout", RETRY, True)
        assert (case.origin, case.incident_id, case.text) == (Origin.OUTCOME, site.incident, MESSAGE)
        assert (case.resolution, case.system) == ("the second run succeeded", "shop")
        assert site.kept() == site.found() == [case]

    @pytest.mark.parametrize("ended", [ended for ended in Ended if ended is not Ended.VERIFIED])
    def test_nothing_else_is(self, site: Site, ended: Ended) -> None:
        site.diagnose()
        assert site.outcome(ended) is None
        assert site.kept() == site.found() == []

    def test_told_again_it_is_one_case(self, site: Site) -> None:
        site.diagnose()
        assert site.outcome() == site.outcome()
        assert len(site.kept()) == len(site.found()) == 1

    def test_another_repair_is_another_case(self, site: Site) -> None:
        site.diagnose()
        site.outcome()
        site.outcome(remediation="rem_2")
        assert len(site.kept()) == len(site.found()) == 2

    def test_without_a_diagnosis_there_is_nothing_to_learn(self, site: Site) -> None:
        assert site.outcome() is None

    def test_what_a_person_said_counts_more_than_the_diagnosis(self, site: Site) -> None:
        site.diagnose()
        site.correct("service_unavailable")
        case = site.outcome()
        assert case is not None
        assert case.type == "service_unavailable"

    def test_its_vector_is_kept(self, site: Site) -> None:
        site.diagnose()
        site.outcome()
        key = knowledge.embedding_key(site.retriever.embedder, MESSAGE)
        with site.database.reading() as session:
            assert list(knowledge.known_vectors(session, [key])) == [key]

    def test_the_shipped_cases_coming_again_leave_it_alone(self, site: Site, tmp_path: Path) -> None:
        site.diagnose()
        case = site.outcome()
        (tmp_path / "cases").mkdir()
        assert load_shipped(site.database, tmp_path) == []
        assert site.kept() == [case]


class TestCorrect:
    def test_it_is_a_case_at_once(self, site: Site) -> None:
        case = site.correct("quota_exceeded")
        assert (case.type, case.origin, case.resolution) == (
            "quota_exceeded",
            Origin.CORRECTION,
            "the provider says so",
        )
        assert case.success is None
        assert site.kept() == site.found() == [case]

    def test_it_retires_what_an_outcome_had_left_to_the_contrary(self, site: Site) -> None:
        site.diagnose()
        wrong = site.outcome()
        case = site.correct("quota_exceeded")
        assert site.kept() == site.found() == [case]
        with site.database.reading() as session:
            row = session.get(CaseRow, wrong.id if wrong else "")
            assert row is not None  # kept for the record
            assert row.retired

    def test_it_keeps_what_an_outcome_had_left_in_agreement(self, site: Site) -> None:
        site.diagnose()
        agreeing = site.outcome()
        case = site.correct("network_timeout")
        assert agreeing is not None
        assert {one.id for one in site.kept()} == {one.id for one in site.found()} == {agreeing.id, case.id}

    def test_said_again_the_newest_counts(self, site: Site) -> None:
        site.correct("quota_exceeded")
        case = site.correct("service_unavailable", "a second look")
        assert site.kept() == site.found() == [case]
        with site.database.reading() as session:
            label = newest_label(session, site.incident)
        assert label is not None
        assert (label.type, label.actor, label.reason) == ("service_unavailable", "ada", "a second look")

    def test_an_outcome_told_again_does_not_undo_it(self, site: Site) -> None:
        # A step of the engine may run twice, the second time after somebody answered.
        site.diagnose()
        site.outcome()
        site.correct("quota_exceeded")
        site.outcome()
        assert (
            {case.type for case in site.kept()} == {case.type for case in site.found()} == {"quota_exceeded"}
        )
        assert len(site.found()) == len(site.kept())

    def test_an_unknown_type_is_refused(self, site: Site) -> None:
        with pytest.raises(Invalid, match="there is no type 'quota'") as raised:
            site.correct("quota")
        assert "quota_exceeded" in raised.value.places[0][1]
        assert site.kept() == []
        with site.database.reading() as session:
            assert newest_label(session, site.incident) is None

    def test_an_incident_that_is_not_there(self, site: Site) -> None:
        with pytest.raises(NotFound):
            site.learn.correct("inc_gone", "quota_exceeded", actor="ada", reason="")
