"""Overdue: what the journal says is granted past its time is taken back, and only that."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.decision.plan import Plan, PlannedAction, Step
from app.foundation.clock import FrozenClock
from app.knowledge.playbook import Action, Retry
from app.remediation import store
from app.remediation.overdue import take_back
from app.remediation.remediate import Acted, Acts, Point
from app.remediation.store import Kind, Remediation
from app.remediation.strategies.restart_with_elevated_permissions import (
    GRANT,
    REVOKE,
    RUN,
    ElevatedParams,
    RestartWithElevatedPermissions,
)
from app.remediation.strategy import Subject
from app.tables import metadata
from tests.doubles import JobServer, only, register
from tests.situations import NOW
from tests.vault import Vault

READ, WRITE = "ledger.read", "ledger.write"


class Killed(BaseException):
    """The process ends here."""


class Site:
    """A repair that granted a right for ten minutes; nothing else happened to it."""

    def __init__(self, folder: Path, jobs: JobServer) -> None:
        self.database = Database(sqlite_url(folder / "mendline.db"))
        metadata.create_all(self.database.engine)
        self.clock = FrozenClock(NOW)
        self.vault = Vault(folder / "vault")
        self.killed_at: Point | None = None
        # Only the clock of the test counts here, so this far side never takes it back by itself.
        check = self.vault.command("held", "{right}")
        targets = register(folder, self.vault.grants(jobs.job(), check=check, rights=[READ, WRITE]))
        self.strategy = RestartWithElevatedPermissions(targets, self.clock)
        self.subject = Subject(incident_id="inc_1", type="permission_denied", target=only(targets))
        self.strategies = {self.strategy.id: self.strategy}
        self.acts = Acts(self.database, self.clock, self.strategies, folder / "backups", self._reach)
        self.begin()

    def _reach(self, point: Point, strategy: str) -> None:
        if point is self.killed_at:
            raise Killed

    def planned(self, right: str, minutes: int) -> Plan:
        plan = self.strategy.plan(self.subject, ElevatedParams(right=right, minutes=minutes))
        assert isinstance(plan, Plan)
        return plan

    def begin(self) -> None:
        self._store(self.planned(READ, 10))
        self.acts.snapshot("rem_1")
        self.acts.act("rem_1", GRANT, 1)
        assert self.granted

    def _store(self, plan: Plan) -> None:
        begun = Remediation(
            id="rem_1",
            incident_id="inc_1",
            decision_id="dec_1",
            approved_by="ada",
            strategy=plan.strategy,
            target="shop/job/nightly-load",
            started_at=NOW,
            plan=plan,
        )
        with self.database.writing() as session:
            store.begin(session, begun)

    @property
    def granted(self) -> bool:
        return self.vault.holds["granted"] != {}

    def sweep(self) -> list[str]:
        return take_back(self.database, self.clock, self.strategies)

    def undone(self) -> list[Acted]:
        with self.database.reading() as session:
            entries = store.journal(session, "rem_1", Kind.UNDO)
        return [Acted.model_validate_json(entry.body) for entry in entries]


class Playbook(Site):
    """A playbook of two actions: a right for ten minutes, tried twice at most, then another for twenty."""

    def begin(self) -> None:
        asked = Action(strategy=self.strategy.id)
        actions = (
            PlannedAction(
                number=1,
                asked=asked.model_copy(update={"retry": Retry(times=1)}),
                plan=self.planned(READ, 10),
            ),
            PlannedAction(number=2, asked=asked, plan=self.planned(WRITE, 20)),
        )
        whole = actions[0].plan.model_copy(
            update={
                "strategy": "playbook:two-rights",
                "steps": tuple(Step(index=n, says=a.plan.summary, does={}) for n, a in enumerate(actions)),
                "actions": actions,
            }
        )
        self._store(whole)

    def grant(self, nth: int) -> None:
        assert self.acts.snapshot("rem_1", nth).how == "done"
        assert self.acts.act("rem_1", GRANT, 1, nth).how == "done"

    @property
    def revoked(self) -> list[str]:
        return [words[1] for words in self.vault.asked("revoke")]


@pytest.fixture
def playbook(tmp_path: Path, jobs: JobServer) -> Iterator[Playbook]:
    site = Playbook(tmp_path, jobs)
    yield site
    site.database.close()


@pytest.fixture
def site(tmp_path: Path, jobs: JobServer) -> Iterator[Site]:
    site = Site(tmp_path, jobs)
    yield site
    site.database.close()


def test_before_its_time_it_is_left_to_the_repair(site: Site) -> None:
    site.clock.advance(timedelta(minutes=9, seconds=59))
    assert site.sweep() == []
    assert site.granted


def test_after_its_time_it_is_taken_back_once_and_told(site: Site) -> None:
    site.clock.advance(timedelta(minutes=10))
    assert site.sweep() == ["rem_1"]
    assert not site.granted
    assert [undo.says for undo in site.undone()] == ["ledger.read was taken back, for its time was over"]
    assert site.sweep() == []
    assert len(site.vault.asked("revoke")) == 1


def test_what_cannot_be_taken_back_is_tried_again(site: Site) -> None:
    site.clock.advance(timedelta(minutes=10))
    site.vault.fail("revoke")
    assert site.sweep() == []
    assert site.acts.undo("rem_1").how == "failed"
    assert site.granted
    site.vault.fail("revoke", "")
    site.clock.advance(timedelta(minutes=1))
    assert site.sweep() == ["rem_1"]
    assert [undo.how for undo in site.undone()] == ["failed", "done"]


@pytest.mark.parametrize(
    "end",
    [lambda acts: acts.act("rem_1", REVOKE, 1), lambda acts: acts.undo("rem_1")],
    ids=["revoked", "undone"],
)
def test_what_the_repair_took_back_itself_is_left_alone(site: Site, end: Callable[[Acts], Acted]) -> None:
    assert end(site.acts).how == "done"
    site.clock.advance(timedelta(minutes=10))
    assert site.sweep() == []
    assert len(site.vault.asked("revoke")) == 1


def test_a_repair_that_never_came_to_it_is_left_alone(site: Site, tmp_path: Path) -> None:
    with site.database.writing() as session:
        begun = store.get(session, "rem_1").model_copy(update={"id": "rem_2"})
        store.begin(session, begun)
    assert site.acts.snapshot("rem_2").how == "human"  # the right is there already
    site.clock.advance(timedelta(minutes=10))
    assert site.sweep() == ["rem_1"]


class TestInAPlaybook:
    def test_each_action_is_taken_back_once_when_its_own_time_is_over(self, playbook: Playbook) -> None:
        playbook.grant(0)
        playbook.grant(2)
        playbook.clock.advance(timedelta(minutes=10))
        assert playbook.sweep() == ["rem_1"]
        assert playbook.revoked == [READ]
        assert playbook.sweep() == []
        playbook.clock.advance(timedelta(minutes=10))
        assert playbook.sweep() == ["rem_1"]
        assert playbook.revoked == [READ, WRITE]
        assert playbook.sweep() == []
        assert not playbook.granted

    def test_tries_that_took_it_back_themselves_are_left_alone(self, playbook: Playbook) -> None:
        playbook.grant(0)
        assert playbook.acts.undo("rem_1", 0).how == "done"  # the first try failed
        playbook.grant(1)
        assert playbook.acts.act("rem_1", REVOKE, 1, 1).how == "done"
        playbook.grant(2)
        playbook.clock.advance(timedelta(minutes=20))
        assert playbook.sweep() == ["rem_1"]
        assert playbook.revoked == [READ, READ, WRITE]

    def test_a_second_try_is_found_though_the_first_was_undone(self, playbook: Playbook) -> None:
        playbook.grant(0)
        playbook.acts.undo("rem_1", 0)
        playbook.grant(1)
        playbook.clock.advance(timedelta(minutes=10))
        assert playbook.sweep() == ["rem_1"]
        assert not playbook.granted
        assert playbook.sweep() == []

    @pytest.mark.parametrize("point", [Point.INTENT_STORED, Point.ACTED, Point.RECEIPT_STORED])
    def test_after_a_crash_within_the_grant(self, playbook: Playbook, point: Point) -> None:
        playbook.acts.snapshot("rem_1", 2)
        playbook.killed_at = point
        with pytest.raises(Killed):
            playbook.acts.act("rem_1", GRANT, 1, 2)
        playbook.killed_at = None
        assert playbook.granted == (point is not Point.INTENT_STORED)
        playbook.clock.advance(timedelta(minutes=19))
        assert playbook.sweep() == []
        playbook.clock.advance(timedelta(minutes=1))
        assert playbook.sweep() == ["rem_1"]
        assert not playbook.granted
        assert playbook.sweep() == []
        # The engine resumes it after all: nothing is granted, and nothing taken back, again.
        assert playbook.acts.act("rem_1", RUN, 1, 2).how == "human"
        assert playbook.acts.undo("rem_1", 2).how == "done"
        assert playbook.revoked == [WRITE]
        assert len(playbook.undone()) == 1

    def test_what_cannot_be_taken_back_is_tried_again(self, playbook: Playbook) -> None:
        playbook.grant(2)
        playbook.clock.advance(timedelta(minutes=20))
        playbook.vault.fail("revoke")
        assert playbook.sweep() == []
        assert playbook.acts.undo("rem_1", 2).how == "failed"
        playbook.vault.fail("revoke", "")
        assert playbook.sweep() == ["rem_1"]
        assert playbook.sweep() == []
        assert not playbook.granted
