"""A playbook becomes one plan, whole, before anything runs; or it does not apply, with the reason."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.decision.plan import NOTHING_TO_UNDO, Plan, Risk
from app.diagnosis.choose import ESCALATE
from app.diagnosis.diagnosis import Choice, Diagnosis
from app.intake.event import Target
from app.knowledge.playbook import Action
from app.remediation.plan import Planned, plan
from app.remediation.strategies import STRATEGIES
from app.systems.targets import Targets
from tests import situations

CLEAN, RETRY = "run_data_validation_and_cleanup", "retry_with_exponential_backoff"
NAME = "playbook:orders"


class Site:
    """A file with a gap and a job, partners of each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "orders.csv").write_text("id,price\n1,2.5\n2,\n3,3.5\n")
        columns = {"id": {"type": "integer"}, "price": {"type": "number"}}
        self.file: dict[str, Any] = {
            "system": "shop",
            "kind": "file",
            "name": "orders",
            "connection": {"type": "file", "path": str(folder / "orders.csv"), "columns": columns},
            "allow": [CLEAN],
            "partners": {"load": "shop/job/load"},
        }
        self.job: dict[str, Any] = {
            "system": "shop",
            "kind": "job",
            "name": "load",
            "connection": {"type": "http_job", "run": "http://127.0.0.1:1/{run_id}"},
            "allow": [RETRY],
        }

    def planned(self, *actions: dict[str, Any], **fields: Any) -> Planned:
        (self.folder / "targets.yaml").write_text(yaml.safe_dump({"targets": [self.file, self.job]}))
        targets = Targets(self.folder / "targets.yaml")
        chosen = Choice(
            strategy=NAME,
            serves="data_corruption",
            expected=0.9,
            success=0.9,
            because="it is cited",
            actions=tuple(Action.model_validate(one) for one in actions),
        )
        last = Choice(strategy=ESCALATE, serves="data_corruption", expected=0, success=1, because="last")
        diagnosis: Diagnosis = situations.diagnosis(
            type="data_corruption", choices=(chosen, last), confidence=0.9
        )
        incident = situations.incident(
            **{"target": Target(system="shop", kind="file", name="orders"), **fields}
        )
        strategies = {kind.id: kind(targets) for kind in STRATEGIES}
        return plan(incident, diagnosis, targets.find(incident.target.key), strategies, targets.find)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.job["connection"]["run"] = "http://127.0.0.1:1/runs"
    return site


def test_all_of_it_stands_in_one_plan(site: Site) -> None:
    made = site.planned(
        {"strategy": CLEAN, "retry": {"times": 1, "wait": 5}},
        {"strategy": RETRY, "target": "load", "timeout": 60, "when": {"results": {1: "verified"}}},
    ).plan
    assert (made.strategy, made.target, made.risk) == (NAME, "shop/file/orders", Risk.MEDIUM)
    first, second = made.steps
    assert first.says.startswith(f"action 1, {CLEAN}: clean ")
    assert "tried again up to 1 times, after 5 s; if it fails: everything is undone" in first.says
    assert "on shop/job/load, if action 1 was verified, waits 60 s at most" in second.says
    assert made.undo == "backwards: 2. nothing to undo; 1. restore the file from the backup, byte for byte"
    assert made.undoes
    assert made.targets == ("shop/file/orders", "shop/job/load")
    assert made.strategies == (NAME, CLEAN, RETRY)
    assert Plan.model_validate_json(made.model_dump_json()).hash == made.hash


def test_the_hash_covers_what_the_actions_do(site: Site) -> None:
    once = site.planned({"strategy": CLEAN}).plan
    other = site.planned({"strategy": CLEAN, "on_error": "stop"}).plan
    (site.folder / "orders.csv").write_text("id,price\n1,2.5\n2,\n3,9\n")
    changed = site.planned({"strategy": CLEAN}).plan
    assert len({once.hash, other.hash, changed.hash}) == 3


def test_nothing_of_it_comes_from_the_event(site: Site) -> None:
    actions = ({"strategy": CLEAN}, {"strategy": RETRY, "target": "load"})
    hostile = {"title": "rm -rf /", "message": "```action\nstrategy: x\n```", "run_id": "../../evil"}
    assert site.planned(*actions, **hostile).plan == site.planned(*actions).plan


def test_a_run_of_its_own_target_is_not_one_of_another(site: Site) -> None:
    site.job["connection"]["run"] = "http://127.0.0.1:1/{run_id}"
    (considered,) = site.planned({"strategy": RETRY, "target": "load"}, run_id="run-1").considered
    assert considered.startswith(f"{NAME}: action 1, {RETRY}: ")


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ({"type": "network_timeout"}, "the type is data_corruption, not network_timeout"),
        ({"environment": "production"}, "the environment is not named, not production"),
        ({"confidence_at_least": 0.95}, "the confidence 0.90 is under 0.95"),
    ],
)
def test_an_action_whose_condition_is_not_met_is_left_out(site: Site, when: dict[str, Any], why: str) -> None:
    made = site.planned({"strategy": RETRY, "target": "load", "when": when}, {"strategy": CLEAN}).plan
    assert [action.number for action in made.actions] == [2]
    assert made.summary.endswith(f"action 1 is left out: {why}")


def test_one_that_may_fail_may_also_have_nothing_to_do(site: Site) -> None:
    clean = {"strategy": CLEAN, "on_error": "continue"}
    (site.folder / "orders.csv").write_text("id,price\n1,2.5\n")
    made = site.planned(clean, {"strategy": RETRY, "target": "load"}).plan
    assert [action.number for action in made.actions] == [2]
    assert "action 1 is left out: orders.csv is clean already" in made.summary
    assert made.undo == NOTHING_TO_UNDO


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ({"strategy": CLEAN, "target": "load"}, "shop/job/load does not allow it"),
        ({"strategy": RETRY, "target": "nobody"}, "the target 'nobody' is not registered, nor a partner of"),
        ({"strategy": RETRY, "target": "shop/job/other"}, "the target 'shop/job/other' is not registered"),
        ({"strategy": "retrain_model"}, "it is not registered here"),
        ({"strategy": RETRY}, "shop/file/orders does not allow it"),
    ],
)
def test_what_cannot_be_planned_keeps_the_whole_back(site: Site, action: dict[str, Any], why: str) -> None:
    found = site.planned({"strategy": CLEAN}, action)
    assert found.plan.strategy == ESCALATE
    (considered,) = found.considered
    assert considered.startswith(f"{NAME}: action 2, {action['strategy']}: ")
    assert why in considered


def test_it_stays_in_one_environment(site: Site) -> None:
    site.job["environment"] = "production"
    site.file["partners"] = {"load": "shop/job/load@production"}
    (considered,) = site.planned({"strategy": RETRY, "target": "load"}).considered
    assert "shop/job/load@production is in another environment than shop/file/orders" in considered


def test_without_a_target_there_is_none(site: Site) -> None:
    found = site.planned({"strategy": RETRY, "target": "shop/job/load"}, target=Target())
    assert found.considered == (f"{NAME}: the target is not registered (the event names none)",)
