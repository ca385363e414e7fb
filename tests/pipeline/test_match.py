"""Which incidents a runbook speaks of, and the record of what it led to."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.decision.decision import Effect
from app.diagnosis.diagnosis import Choice
from app.knowledge.embed import HashingEmbedder
from app.knowledge.retrieve import Retriever
from app.pipeline.match import matches
from app.remediation import store
from app.remediation.citations import RunbookRecord, cited_by, runbook_records
from app.remediation.outcome import Ended, Outcome
from app.remediation.tables import UndoRow
from tests import situations
from tests.knowledge.test_retrieve import runbook
from tests.situations import RETRY
from tests.web.conftest import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def recommended(ref: str, strategy: str = RETRY) -> Choice:
    return Choice(
        strategy=strategy, serves="network_timeout", expected=0.8, success=0.9, because="", runbook=ref
    )


class TestMatches:
    @pytest.fixture
    def retriever(self) -> Retriever:
        made = Retriever(HashingEmbedder())
        far = [runbook(f"far-{n}", symptoms=f"the queue of broker {n} is full") for n in range(4)]
        made.load_runbooks(
            [runbook("slow", signals=("ledger .*timed out",), symptoms="the ledger timed out"), *far]
        )
        return made

    def look(self, world: World, retriever: Retriever, most: int = 10, hours: float = 0) -> list[str]:
        since = world.clock.now() - timedelta(hours=hours) if hours else None
        with world.database.reading() as session:
            found = matches(session, retriever, "slow", most=most, since=since)
        return [match.incident_id for match in found.matches]

    def test_by_signal_and_by_meaning_with_how_it_ended(self, world: World, retriever: Retriever) -> None:
        texts = {
            "both": "the ledger timed out",
            "signal": "the queue of broker 1 2 3 is full: ledger 7 x timed out",
            "neither": "the queue of broker 0 1 2 3 is full",
        }
        ids = {}
        for name, text in texts.items():
            ids[name] = world.incident(text, fingerprint=name)
            world.diagnose(ids[name], excerpt=text, confidence=0.6)
        with world.database.reading() as session:
            found = matches(session, retriever, "slow", most=10)
        by = {match.incident_id: match for match in found.matches}
        assert found.looked_at == 3
        assert set(by) == {ids["both"], ids["signal"]}
        both = by[ids["both"]]
        assert (both.signal, both.section, both.confidence) == ("ledger timed out", "slow#symptoms", 0.6)
        assert (both.type, both.ended, both.similarity > 0.5) == ("network_timeout", "still open", True)
        assert by[ids["signal"]].section == ""

    def test_the_newest_so_many_and_only_those_since(self, world: World, retriever: Retriever) -> None:
        made = []
        for number in range(4):
            made.append(world.incident("the ledger timed out", fingerprint=str(number)))
            world.diagnose(made[-1], excerpt="the ledger timed out")
            world.clock.advance(timedelta(hours=1))
        assert self.look(world, retriever) == made[::-1]
        assert self.look(world, retriever, most=2) == made[:1:-1]
        assert self.look(world, retriever, hours=2.5) == made[:1:-1]

    def test_what_was_not_diagnosed_yet_is_passed_over(self, world: World, retriever: Retriever) -> None:
        world.incident("the ledger timed out")
        assert self.look(world, retriever) == []


class TestRecord:
    def repaired(
        self, world: World, ended: Ended | None, *, ref: str = "slow#fix", strategy: str = RETRY
    ) -> str:
        """An incident whose diagnosis cites a runbook, and a repair with what that recommends; its id."""
        incident_id = world.incident(f"no {len(self.made)}")
        self.made.append(incident_id)
        world.diagnose(incident_id, runbook=ref, choices=(recommended(ref),))
        decision = world.decide(incident_id, Effect.ACT, plan=situations.plan(strategy=strategy))
        remediation_id = world.begin(decision)
        if ended:
            outcome = Outcome(
                remediation_id=remediation_id, incident_id=incident_id, strategy=strategy, target="t",
                ended=ended, at=world.clock.now(), says="", undone="",
            )  # fmt: skip
            with world.database.writing() as session:
                store.end(session, outcome)
        return remediation_id

    @pytest.fixture(autouse=True)
    def _none_made(self) -> None:
        self.made: list[str] = []

    def record(self, world: World, name: str = "slow") -> RunbookRecord:
        with world.database.reading() as session:
            return runbook_records(session).get(name, RunbookRecord())

    def test_each_end_counts_as_what_it_is(self, world: World) -> None:
        for ended in (Ended.VERIFIED, Ended.VERIFIED, Ended.UNDONE, Ended.STUCK, Ended.STOPPED, None):
            self.repaired(world, ended)
        assert self.record(world) == RunbookRecord(cited=6, used=6, verified=2, undone=1)
        assert self.record(world, "other") == RunbookRecord()

    def test_another_strategy_than_it_recommends_is_not_its_work(self, world: World) -> None:
        self.repaired(world, Ended.VERIFIED, strategy="recover_service")
        assert self.record(world) == RunbookRecord(cited=1)

    def test_one_that_a_person_had_undone_did_not_help(self, world: World) -> None:
        remediation_id = self.repaired(world, Ended.VERIFIED)
        with world.database.writing() as session:
            session.add(
                UndoRow(remediation_id=remediation_id, actor="ada", reason="", asked_at=world.clock.now())
            )
        assert self.record(world) == RunbookRecord(cited=1, used=1, verified=0, undone=1)

    def test_an_incident_that_is_diagnosed_again_is_cited_once(self, world: World) -> None:
        incident_id = world.incident("x")
        for section in ("symptoms", "fix"):
            world.diagnose(incident_id, runbook=f"slow#{section}")
            world.clock.advance(timedelta(minutes=1))
        assert self.record(world) == RunbookRecord(cited=1)
        with world.database.reading() as session:
            (one,) = cited_by(session, "slow")
        assert (one.incident_id, one.section, one.state) == (incident_id, "fix", "firing")

    def test_one_that_recommends_without_being_the_most_relevant_is_cited_too(self, world: World) -> None:
        incident_id = world.incident("x")
        world.diagnose(incident_id, runbook="far#fix", choices=(recommended("slow#confirm"),))
        assert self.record(world).cited == self.record(world, "far").cited == 1
