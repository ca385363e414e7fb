"""A package that brings a strategy, a gate and a scorer: installed for real, and each way of not fitting."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from app.plugins import Plugins, load_plugins
from app.systems.targets import Targets

ROOT = Path(__file__).parents[1]
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "mendline-try"
version = "1.0"

[project.entry-points."mendline.strategies"]
wave = "mendline_try:Wave"

[project.entry-points."mendline.gates"]
never_mondays = "mendline_try:NeverMondays"

[project.entry-points."mendline.scorers"]
oracle = "mendline_try:Oracle"

[tool.setuptools]
py-modules = ["mendline_try"]
"""
MODULE = """
from app.decision.decision import Verdict
from app.diagnosis.diagnosis import Finding
from app.knowledge.taxonomy import StrategyEntry
from app.remediation.strategies.escalate_to_human import EscalateToHuman


class Wave(EscalateToHuman):
    id = "wave"
    entry = StrategyEntry(serves=("network_timeout",), prior=0.9, risk="none", undo="nothing to undo")


class NeverMondays:
    id = "never_mondays"

    def check(self, situation, now):
        return Verdict(gate=self.id, allows="allow", reason="never_mondays.fine", says="it is not Monday")


class Oracle:
    id = "oracle"
    version = "1"

    def __init__(self, retriever):
        self.retriever = retriever

    def score(self, symptom):
        return Finding(scorer="oracle@1", scores={}, contributes=False, hint="the oracle is silent")
"""
# What a server does with its parts, as far as it needs no time.
USE = """
import json, sys
from datetime import UTC, datetime
from app.settings import read_settings
from app.wiring import open_store
from app.remediation.strategy import Subject

store = open_store(read_settings())
wave = store.strategies["wave"]
plan = wave.plan(Subject(incident_id="i", type="t"), wave.Params())
receipt = wave.execute(plan, plan.steps[0], "key", wave.snapshot(plan, None))
(gate,) = store.plugins.gates
print(json.dumps([receipt.says, gate.check(None, datetime.now(UTC)).says, store.taxonomy.strategies["wave"].prior]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip put the package, without asking any index."""
    source = tmp_path_factory.mktemp("package")
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "mendline_try.py").write_text(MODULE)
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-index"]
    more = ["--no-build-isolation", "--no-deps", "--target", str(folder), str(source)]
    done = subprocess.run([*pip, *more], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def run(folder: Path, installed: Path, allow: str, *args: str) -> subprocess.CompletedProcess[str]:
    knowledge = folder / "knowledge"
    if not knowledge.exists():
        shutil.copytree(ROOT / "tests" / "data" / "knowledge", knowledge)
        shutil.copy(ROOT / "knowledge" / "taxonomy.yaml", knowledge)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MENDLINE_")}
    environment |= {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}",
        "MENDLINE_DATA_DIR": str(folder / "data"),
        "MENDLINE_KNOWLEDGE__FOLDER": str(knowledge),
        "MENDLINE_KNOWLEDGE__EMBEDDER": "hashing",
        "MENDLINE_PLUGINS__ALLOW": allow,
    }
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


MENDLINE = ("-c", "from app.cli import main; main()")


def test_what_is_allowed_runs(tmp_path: Path, installed: Path) -> None:
    done = run(tmp_path, installed, "wave,never_mondays,oracle", "-c", USE)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["left to a person", "it is not Monday", 0.9]
    text = "connection to db timed out"
    done = run(tmp_path, installed, "wave,oracle", *MENDLINE, "diagnose", text, "--json")
    assert done.returncode == 0, done.stderr
    diagnosis = json.loads(done.stdout)
    assert "the oracle is silent" in [finding["hint"] for finding in diagnosis["findings"]]
    assert "wave" in [choice["strategy"] for choice in diagnosis["choices"]]


def test_what_is_not_allowed_is_not_there(tmp_path: Path, installed: Path) -> None:
    done = run(tmp_path, installed, "", "-c", USE)
    assert "KeyError: 'wave'" in done.stderr


def test_what_cannot_be_used_is_told_by_the_doctor(tmp_path: Path, installed: Path) -> None:
    done = run(tmp_path, installed, "wave,nobody", *MENDLINE, "doctor", "--json")
    (plugins,) = [part for part in json.loads(done.stdout) if part["part"] == "plugins"]
    assert (plugins["state"], plugins["says"]) == ("wrong", "nobody: no installed package offers it")


class Odd:
    """Not a gate in many ways."""

    id = "odd"

    def check(self, situation: Any) -> None: ...


class Pause:
    id = "pause"

    def check(self, situation: Any, now: Any) -> None: ...


class Fickle:
    id = "fickle"

    def __init__(self) -> None:
        raise SystemExit("not today")

    def check(self, situation: Any, now: Any) -> None: ...


def load(tmp_path: Path, name: str, value: str, group: str = "mendline.gates", times: int = 1) -> Plugins:
    points: Iterable[EntryPoint] = [EntryPoint(name=name, value=value, group=group)] * times
    return load_plugins([name], Targets(tmp_path / "targets.yaml"), lambda: points)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("odd", "tests.no_such_module:Odd", "cannot be imported: ModuleNotFoundError"),
        ("odd", "tests.test_plugins:NoSuch", "cannot be imported: AttributeError"),
        ("odd", "tests.test_plugins:ROOT", "is not a class"),
        (
            "odd",
            "tests.test_plugins:Odd",
            "its check(self, situation: Any) -> None takes other arguments than",
        ),
        ("other", "tests.test_plugins:Odd", "its id is 'odd', not the entry point's name"),
        ("pause", "tests.test_plugins:Pause", "Mendline has a Gate of this id itself"),
        ("fickle", "tests.test_plugins:Fickle", "it cannot be made: SystemExit: not today"),
        ("odd", "pathlib:Path", "has no `id`, which a Gate has"),
    ],
)
def test_it_is_refused_in_a_line(tmp_path: Path, name: str, value: str, why: str) -> None:
    found = load(tmp_path, name, value)
    (refused,) = found.refused
    assert refused.startswith(f"{name}: ")
    assert why in refused
    assert (found.gates, found.strategies, found.scorers) == ((), {}, ())


def test_a_strategy_is_looked_at_closely(tmp_path: Path) -> None:
    (refused,) = load(tmp_path, "odd", "tests.test_plugins:Odd", "mendline.strategies").refused
    assert "has no `version`, which a Strategy has" in refused


def test_offered_twice_is_offered_by_nobody_knows_whom(tmp_path: Path) -> None:
    (refused,) = load(tmp_path, "odd", "tests.test_plugins:Odd", times=2).refused
    assert "it is offered more than once" in refused
