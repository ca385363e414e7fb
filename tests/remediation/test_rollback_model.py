"""Rollback model: aliases of real models in a real MLflow registry."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import Plan
from app.foundation.clock import FrozenClock
from app.remediation.plan import subject_of
from app.remediation.strategies.rollback_model import RollbackModel, RollbackParams
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    RetryLater,
    Subject,
    Unclear,
    Undone,
    Verified,
)
from tests.doubles import only, register
from tests.registry import LiveModel
from tests.situations import incident

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "key_1"
TAG = f"mendline.rollback.{KEY}"
Make = Callable[..., tuple[RollbackModel, Any]]


@pytest.fixture
def live() -> Iterator[LiveModel]:
    """Versions 1 and 2 were good; 3 has the alias and is bad."""
    with LiveModel().running() as live:
        yield live


@pytest.fixture
def make(live: LiveModel, tmp_path: Path) -> Make:
    def made(since: datetime | None = None, **fields: Any) -> Any:
        targets = register(tmp_path, live.connection(**fields), name="churn")
        strategy = RollbackModel(targets, FrozenClock(NOW))
        subject = Subject(incident_id="inc_1", type="model_degradation", since=since, target=only(targets))
        return strategy, strategy.plan(subject, RollbackParams())

    return made


def act(strategy: RollbackModel, plan: Plan, tmp_path: Path, key: str = KEY) -> tuple[Any, Receipt]:
    assert isinstance(plan, Plan), plan
    kept = strategy.snapshot(plan, tmp_path)
    return kept, strategy.execute(plan, plan.steps[0], key, kept)


class TestPlan:
    def test_what_a_person_reads_at_night(self, live: LiveModel, make: Make) -> None:
        _, plan = make()
        assert plan.summary == (
            f"have champion of {live.name} name version 2 instead of 3, the newest older one that is marked "
            "validation_status=passed"
        )

    def test_a_model_that_is_well(self, live: LiveModel, make: Make) -> None:
        live.bad = set()
        assert make()[1].because.startswith("it is well: 127.0.0.1:")

    def test_only_what_is_older_and_good(self, live: LiveModel, make: Make) -> None:
        live.make(good=True)  # 4 is newer than what serves
        live.tag(2, "validation_status", "failed")
        assert make()[1].steps[0].does["to"] == 1
        live.tag(1, "validation_status", "failed")
        assert make()[1] == NotApplicable(because="no version before 3 is marked validation_status=passed")

    def test_a_version_that_came_after_the_incident_is_not_known_to_have_failed(self, make: Make) -> None:
        now = datetime.now(UTC)
        _, refused = make(since=now - timedelta(hours=1))
        assert "version 3 was made after the incident began" in refused.because
        assert isinstance(make(since=now + timedelta(hours=1))[1], Plan)

    def test_the_incident_began_with_its_first_event(self) -> None:
        assert subject_of(incident(), "model_degradation", None).since == incident().first_seen

    def test_a_version_that_was_withdrawn_before_is_no_way_back(
        self, live: LiveModel, make: Make, tmp_path: Path
    ) -> None:
        live.tag(3, "validation_status", "passed")
        act(*make(), tmp_path)
        live.bad.add(live.make())
        live.point(4)
        assert make()[1].steps[0].does["to"] == 2
        live.tag(2, "mendline.rollback.key_0", "somebody wrote this")
        assert make()[1].steps[0].does["to"] == 1

    @pytest.mark.parametrize(
        ("fields", "because"),
        [
            ({"alias": "none"}, "answered 400 INVALID_PARAMETER_VALUE"),
            ({"url": "http://127.0.0.1:1"}, "was not reached"),
        ],
    )
    def test_a_registry_that_cannot_say(self, make: Make, fields: dict[str, str], because: str) -> None:
        assert because in make(**fields)[1].because


class TestActing:
    def test_there_and_back(self, live: LiveModel, make: Make, tmp_path: Path) -> None:
        strategy, plan = make()
        assert isinstance(strategy.verify(plan, []), Disproved)
        kept, receipt = act(strategy, plan, tmp_path)
        assert live.current == 2
        told = {"alias": "champion", "from": 3, "to": 2, "by": "mendline", "at": "2026-11-21T12:00:00+00:00"}
        assert live.history(3) == {TAG: {**told, "undone": False}}
        assert isinstance(strategy.verify(plan, [receipt]), Verified)
        for _ in range(2):
            assert strategy.rollback(plan, kept, [receipt]) == Undone(says="champion names version 3 again")
        assert live.current == 3
        assert live.history(3) == {TAG: {**told, "undone": True}}

    def test_health_that_comes_late_is_waited_for(self, live: LiveModel, make: Make, tmp_path: Path) -> None:
        strategy, plan = make()
        _, receipt = act(strategy, plan, tmp_path)
        live.gloomy = True
        assert isinstance(strategy.verify(plan, [receipt]), Pending)

    def test_an_alias_that_somebody_moved_meanwhile_is_left_alone(
        self, live: LiveModel, make: Make, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept = strategy.snapshot(plan, tmp_path)
        live.point(2)  # even to where it was to go
        with pytest.raises(NeedsHuman, match="somebody else moved the alias: it names version 2"):
            strategy.execute(plan, plan.steps[0], KEY, kept)
        assert isinstance(strategy.recall(plan, plan.steps[0], KEY, kept), Unclear)
        with pytest.raises(NeedsHuman, match="somebody else"):
            strategy.snapshot(plan, tmp_path)
        assert live.history(3) == {}

    def test_an_alias_that_somebody_moved_since_is_not_taken_back(
        self, live: LiveModel, make: Make, tmp_path: Path
    ) -> None:
        strategy, plan = make()
        kept, receipt = act(strategy, plan, tmp_path)
        live.point(1)
        assert isinstance(strategy.verify(plan, [receipt]), Disproved)
        undone = strategy.rollback(plan, kept, [receipt])
        assert undone == CannotUndo(because="somebody else moved the alias: it names version 1")
        assert live.current == 1

    def test_said_and_not_done_is_not_done(self, live: LiveModel, make: Make, tmp_path: Path) -> None:
        strategy, plan = make()
        kept, _ = act(strategy, plan, tmp_path)
        live.point(3)  # as if the tag were all that happened
        assert strategy.recall(plan, plan.steps[0], KEY, kept) == NotDone()
        strategy.execute(plan, plan.steps[0], KEY, kept)
        assert isinstance(strategy.recall(plan, plan.steps[0], KEY, kept), Receipt)
        assert isinstance(strategy.recall(plan, plan.steps[0], "key_2", kept), Unclear)

    def test_a_registry_that_is_away_is_asked_again(
        self, live: LiveModel, make: Make, tmp_path: Path
    ) -> None:
        strategy, plan = make(url=live.through)
        kept, receipt = act(strategy, plan, tmp_path)
        live.cut = True
        with pytest.raises(RetryLater, match="answered 502"):
            strategy.execute(plan, plan.steps[0], KEY, kept)
        assert isinstance(strategy.verify(plan, [receipt]), Pending)
        assert isinstance(strategy.recall(plan, plan.steps[0], KEY, kept), Unclear)
        assert isinstance(strategy.rollback(plan, kept, [receipt]), CannotUndo)
