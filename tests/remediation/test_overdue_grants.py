"""Overdue: what the journal says is granted past its time is taken back, and only that."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.foundation.clock import FrozenClock
from app.remediation import store
from app.remediation.overdue import take_back
from app.remediation.remediate import Acted, Acts
from app.remediation.store import Kind, Remediation
from app.remediation.strategies.restart_with_elevated_permissions import (
    GRANT,
    REVOKE,
    ElevatedParams,
    RestartWithElevatedPermissions,
)
from app.remediation.strategy import Subject
from app.tables import metadata
from tests.doubles import JobServer, only, register
from tests.situations import NOW
from tests.vault import Vault


class Site:
    """A repair that granted a right for ten minutes; nothing else happened to it."""

    def __init__(self, folder: Path, jobs: JobServer) -> None:
        self.database = Database(sqlite_url(folder / "mendline.db"))
        metadata.create_all(self.database.engine)
        self.clock = FrozenClock(NOW)
        self.vault = Vault(folder / "vault")
        # Only the clock of the test counts here, so this far side never takes it back by itself.
        targets = register(folder, self.vault.grants(jobs.job(), check=self.vault.command("held", "{right}")))
        strategy = RestartWithElevatedPermissions(targets, self.clock)
        self.strategies = {strategy.id: strategy}
        self.acts = Acts(self.database, self.clock, self.strategies, folder / "backups")
        subject = Subject(incident_id="inc_1", type="permission_denied", target=only(targets))
        plan = strategy.plan(subject, ElevatedParams(minutes=10))
        begun = Remediation(
            id="rem_1",
            incident_id="inc_1",
            decision_id="dec_1",
            approved_by="ada",
            strategy=strategy.id,
            target="shop/job/nightly-load",
            started_at=NOW,
            plan=plan,
        )
        with self.database.writing() as session:
            store.begin(session, begun)
        self.acts.snapshot("rem_1")
        self.acts.act("rem_1", GRANT, 1)
        assert self.granted

    @property
    def granted(self) -> bool:
        return self.vault.holds["granted"] != {}

    def sweep(self) -> list[str]:
        return take_back(self.database, self.clock, self.strategies)

    def undone(self) -> list[Acted]:
        with self.database.reading() as session:
            entries = store.journal(session, "rem_1", Kind.UNDO)
        return [Acted.model_validate_json(entry.body) for entry in entries]


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
