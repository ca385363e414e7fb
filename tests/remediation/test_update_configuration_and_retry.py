"""Update configuration and retry: only listed settings, only to what the owner or a runbook says."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.remediation.strategies.update_configuration_and_retry import (
    ConfigurationParams,
    UpdateConfigurationAndRetry,
)
from app.remediation.strategy import NotApplicable, Receipt, Subject, Undone, Verified
from tests.doubles import JobServer, only, register

BEFORE = '{\n  "warehouse": {"host": "db", "port": 5432},\n  "debug": false\n}\n'


def planned(folder: Path, settings: dict[str, Any], **fields: Any) -> tuple[UpdateConfigurationAndRetry, Any]:
    path = folder / "load.json"
    path.write_text(BEFORE)
    keys = ["warehouse.host", "warehouse.port", "debug", "warehouse.password", "nowhere.key"]
    targets = register(folder, {"type": "config_file", "path": str(path), "keys": keys, **fields})
    strategy = UpdateConfigurationAndRetry(targets)
    subject = Subject(incident_id="inc_1", type="configuration_error", run_id="run-0", target=only(targets))
    return strategy, strategy.plan(subject, ConfigurationParams(settings=settings))


def test_settings_are_set_the_job_run_and_all_of_it_undone(tmp_path: Path, jobs: JobServer) -> None:
    strategy, plan = planned(tmp_path, {"warehouse.host": "db2", "debug": True}, rerun=jobs.job())
    path = tmp_path / "load.json"
    assert plan.summary == (
        f'in {path}: warehouse.host becomes "db2", debug becomes true; run nightly-load again'
    )
    kept = strategy.snapshot(plan, tmp_path / "keep")
    receipts: list[Receipt] = [strategy.execute(plan, step, f"key_{step.index}", kept) for step in plan.steps]
    assert path.read_text() == BEFORE.replace('"db"', '"db2"').replace("false", "true")
    assert isinstance(strategy.verify(plan, receipts), Verified)
    assert isinstance(strategy.rollback(plan, kept, receipts), Undone)
    assert path.read_text() == BEFORE


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "names a setting and its value"),
        ({"warehouse.user": "x"}, "the target's `keys` do not name warehouse.user"),
        ({"warehouse.password": "x"}, "warehouse.password sounds like a secret"),
        ({"warehouse.host": "db", "debug": False}, "everything is so already"),
        ({"nowhere.key": 1}, "nothing that could hold nowhere.key"),
    ],
)
def test_refuses(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    _, made = planned(tmp_path, settings)
    assert isinstance(made, NotApplicable)
    assert says in made.because


def test_a_job_that_is_asked_for_by_its_run_needs_one(tmp_path: Path, jobs: JobServer) -> None:
    by_run = jobs.job(run=f"{jobs.url}/runs/{{run_id}}")
    strategy, made = planned(tmp_path, {"debug": True}, rerun=by_run)
    assert not isinstance(made, NotApplicable)
    subject = Subject(incident_id="inc_1", type="configuration_error", target=only(strategy._targets))
    again = strategy.plan(subject, ConfigurationParams(settings={"debug": True}))
    assert again == NotApplicable(because="the event named no run, and the job is asked for by its run")


def test_a_value_is_one_value() -> None:
    with pytest.raises(ValidationError):
        ConfigurationParams.model_validate({"settings": {"a": {"b": 1}}})
    assert ConfigurationParams.model_validate({"settings": {"a": True, "b": 1}}).settings == {
        "a": True,
        "b": 1,
    }
