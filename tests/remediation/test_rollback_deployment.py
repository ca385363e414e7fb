"""Rollback deployment: a branch and a folder of releases go back to what was good, and forward again."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import Plan
from app.remediation.strategies.rollback_deployment import RollbackDeployment, RollbackParams
from app.remediation.strategy import (
    CannotUndo,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
)
from tests.doubles import HealthPage, only, register
from tests.far_git import Origin

KEPT = Snapshot()
Well = dict[str, Callable[[], bool]]


@pytest.fixture
def well() -> Well:
    """Whether the deployment is well, as the health page asks it."""
    return {"now": lambda: False}


@pytest.fixture
def health(well: Well) -> Iterator[str]:
    with HealthPage(lambda: well["now"]()).running() as page:
        yield page.url


def planned(folder: Path, connection: dict[str, Any]) -> tuple[RollbackDeployment, Any]:
    targets = register(folder, connection, name="shop")
    strategy = RollbackDeployment(targets)
    subject = Subject(incident_id="inc_1", type="deployment_failure", target=only(targets))
    return strategy, strategy.plan(subject, RollbackParams())


def act(strategy: RollbackDeployment, plan: Plan) -> Receipt:
    assert isinstance(plan, Plan), plan
    return strategy.execute(plan, plan.steps[0], "key_1", KEPT)


def recall(strategy: RollbackDeployment, plan: Plan) -> Any:
    return strategy.recall(plan, plan.steps[0], "key_1", KEPT)


class TestOnABranch:
    @pytest.fixture
    def origin(self, tmp_path: Path) -> Origin:
        origin = Origin(tmp_path, {"version": "1", "old": "x"})
        origin.tag("good/1", origin.first)
        second = origin.commit({"version": "2"}, "release 2")
        origin.tag("good/2", second)
        origin.commit({"version": "3", "new": "y"}, "release 3")
        return origin

    @pytest.fixture
    def make(self, tmp_path: Path, origin: Origin, health: str) -> Callable[..., Any]:
        where = {"type": "git_deployment", "remote": origin.url, "branch": "main", "health": health}
        return lambda **fields: planned(tmp_path, {**where, **fields})

    def test_back_to_the_newest_good_one_and_forward_again(
        self, make: Any, origin: Origin, well: Well
    ) -> None:
        strategy, plan = make()
        bad = origin.tip()
        assert plan.steps[0].does["named"] == "good/2"
        receipt = act(strategy, plan)
        assert origin.git("diff", "--stat", "good/2", "main") == ""
        assert origin.git("rev-parse", "main^").strip() == bad
        assert isinstance(strategy.verify(plan, [receipt]), Pending)
        well["now"] = lambda: True
        assert isinstance(strategy.verify(plan, [receipt]), Verified)
        first = strategy.rollback(plan, KEPT, [receipt])
        assert (first, strategy.rollback(plan, KEPT, [receipt])) == (
            Undone(says=f"main holds what {bad[:10]} holds"),
            first,
        )
        assert origin.git("diff", "--stat", bad, "main") == ""
        assert len(origin.messages()) == 5

    def test_a_branch_that_moved_is_left_alone(self, make: Any, origin: Origin) -> None:
        strategy, plan = make()
        theirs = origin.commit({"version": "4"}, "a fix")
        with pytest.raises(NeedsHuman, match="main moved since the plan was made"):
            act(strategy, plan)
        assert recall(strategy, plan) == NotDone()
        assert strategy.rollback(plan, KEPT, []) == Undone(says="nothing of this repair is on main")
        assert origin.tip() == theirs

    def test_a_fix_that_came_after_ours_is_not_taken_back(self, make: Any, origin: Origin) -> None:
        strategy, plan = make()
        receipt = act(strategy, plan)
        theirs = origin.commit({"version": "4"}, "a fix")
        assert isinstance(recall(strategy, plan), Receipt)
        assert isinstance(strategy.rollback(plan, KEPT, [receipt]), CannotUndo)
        assert origin.tip() == theirs

    def test_a_rollback_by_another_repair_is_not_taken_back(self, make: Any, origin: Origin) -> None:
        (strategy, plan), (_, other) = make(), make()
        act(strategy, plan)
        other = other.model_copy(
            update={
                "steps": (
                    other.steps[0].model_copy(update={"does": {**other.steps[0].does, "incident": "inc_2"}}),
                )
            }
        )
        with pytest.raises(NeedsHuman, match="moved"):
            strategy.execute(other, other.steps[0], "key_2", KEPT)
        assert strategy.rollback(other, KEPT, []) == Undone(says="nothing of this repair is on main")
        assert origin.git("diff", "--stat", "good/2", "main") == ""

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"good": "stable-*"}, "no revision of main has a tag stable-*"),
            ({"branch": "none"}, "there is no branch none"),
            ({"good": "good/3*"}, "no revision of main has a tag good/3*"),
        ],
    )
    def test_refuses(self, make: Any, fields: dict[str, str], says: str) -> None:
        _, made = make(**fields)
        assert isinstance(made, NotApplicable)
        assert says in made.because

    def test_what_is_good_or_well_or_was_rolled_back_is_left_alone(
        self, make: Any, origin: Origin, well: Well
    ) -> None:
        strategy, plan = make()
        act(strategy, plan)
        assert make()[1] == NotApplicable(because="what is deployed is itself marked good (good/2)")
        well["now"] = lambda: True
        assert make()[1].because.startswith("it is healthy")


class TestReleases:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "releases"
        for number, marked in ((9, 100), (10, 300), (8, 200), (11, 0)):
            (folder / f"v{number}").mkdir(parents=True)
            if marked:
                (folder / f"v{number}" / "GOOD").touch()
                os.utime(folder / f"v{number}" / "GOOD", (marked, marked))
        (tmp_path / "current").symlink_to("releases/v11")
        return folder

    @pytest.fixture
    def make(self, tmp_path: Path, folder: Path, health: str) -> Callable[..., Any]:
        where = {
            "type": "releases",
            "folder": str(folder),
            "current": str(tmp_path / "current"),
            "health": health,
        }
        return lambda **fields: planned(tmp_path, {**where, **fields})

    def test_back_to_the_one_marked_last_and_forward_again(
        self, make: Any, tmp_path: Path, well: Well
    ) -> None:
        link = tmp_path / "current"
        well["now"] = lambda: os.readlink(link) == "releases/v10"
        strategy, plan = make()
        assert plan.steps[0].says == f"switch {link} from v11 to v10"
        assert recall(strategy, plan) == NotDone()
        receipt = act(strategy, plan)
        assert os.readlink(link) == "releases/v10"
        assert isinstance(recall(strategy, plan), Receipt)
        assert isinstance(strategy.verify(plan, [receipt]), Verified)
        assert act(strategy, plan) == receipt
        first = strategy.rollback(plan, KEPT, [receipt])
        assert (first, strategy.rollback(plan, KEPT, [receipt])) == (
            Undone(says="current leads to v11"),
            first,
        )
        assert os.readlink(link) == "releases/v11"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "releases", "targets.yaml"]

    def test_a_link_by_its_full_path_stays_one(self, make: Any, tmp_path: Path, folder: Path) -> None:
        link = tmp_path / "current"
        link.unlink()
        link.symlink_to(folder / "v11")
        (tmp_path / ".current.mendline").symlink_to("left by a switch that was cut short")
        act(*make())
        assert os.readlink(link) == str(folder / "v10")

    def test_somebody_else_switched_it(self, make: Any, tmp_path: Path) -> None:
        link = tmp_path / "current"
        strategy, plan = make()
        link.unlink()
        link.symlink_to("releases/v9")
        with pytest.raises(NeedsHuman, match="not as it was planned for"):
            act(strategy, plan)
        assert isinstance(recall(strategy, plan), Unclear)
        assert strategy.rollback(plan, KEPT, []) == Undone(says="current leads to v9")
        done = [Receipt(step=0, says="as if it had been ours")]
        assert isinstance(strategy.rollback(plan, KEPT, done), CannotUndo)
        assert os.readlink(link) == "releases/v9"

    def test_refuses(self, make: Any, tmp_path: Path, folder: Path) -> None:
        link = tmp_path / "current"
        assert make(good="FINE")[1] == NotApplicable(because=f"no release in {folder} holds FINE")
        os.utime(folder / "v9" / "GOOD", (900, 900))
        link.unlink()
        link.symlink_to("releases/v9")
        assert make()[1] == NotApplicable(because="what is deployed is itself marked good (v9)")
        link.unlink()
        link.symlink_to("releases/gone")
        assert make()[1] == NotApplicable(because=f"{link} leads nowhere")
        link.unlink()
        link.mkdir()
        assert make()[1] == NotApplicable(because=f"{link} is no symbolic link")
