"""The benches run, say what they measured, and find every event that was acknowledged."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.knowledge.shipped import knowledge_folder

ROOT = Path(__file__).parent.parent
BENCH = ROOT / "scripts" / "bench"


@pytest.fixture
def knowledge(tmp_path: Path) -> Path:
    """A few cases, which are learnt in a moment."""
    folder = tmp_path / "knowledge"
    shutil.copytree(ROOT / "tests" / "data" / "knowledge", folder)
    shutil.copy(knowledge_folder() / "taxonomy.yaml", folder)
    return folder


def bench(knowledge: Path, *arguments: str) -> dict[str, Any]:
    """What a bench printed."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("MENDLINE_")}
    settings = {"MENDLINE_KNOWLEDGE__EMBEDDER": "hashing", "MENDLINE_KNOWLEDGE__FOLDER": str(knowledge)}
    done = subprocess.run(
        [sys.executable, str(BENCH), *arguments],
        env=surroundings | settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.server
def test_ingest_loses_nothing_that_it_acknowledged(knowledge: Path) -> None:
    found = bench(knowledge, "ingest", "--seconds", "1", "--connections", "8")
    assert found["bench"] == "ingest"
    assert found["machine"]["cpus"] >= 1
    for name in ("single", "batches"):
        for ran in (found[name], found["bare"][name]):
            assert ran["statuses"].keys() == {"202"}
            assert ran["acknowledged"] > 0
            assert ran["events_per_second"] > 0
            assert 0 < ran["request_ms"]["p50"] <= ran["request_ms"]["p99"]
        assert found["ratio_to_bare"][name] > 0
    assert found["batches"]["acknowledged"] % 100 == 0
    # Killed in the middle: each connection was waiting for an answer.
    assert found["killed"]["acknowledged"] > 0
    assert found["killed"]["cut_off"] > 0
    phases = ("single", "batches", "killed")
    assert found["acknowledged"] == sum(found[name]["acknowledged"] for name in phases)
    assert found["found_after_kill"] == found["acknowledged"]
    assert found["lost"] == 0
    assert found["stored_after_kill"]["events"] >= found["acknowledged"]
    assert 0 < found["single"]["stored"]["incidents"] <= found["stored_after_kill"]["incidents"] <= 6_000


@pytest.mark.server
def test_remediation_loses_and_doubles_nothing(knowledge: Path) -> None:
    found = bench(
        knowledge, "remediation", "--on", "sqlite", "--incidents", "12", "--idle", "2", "--approvals", "30"
    )
    ran = found["sqlite"]
    assert (ran["lost"], ran["doubled"]) == (0, 0)
    assert ran["repairs_per_second"] > 0
    acts = ran["decision_to_first_act_ms"]
    assert (acts["idle"]["n"], acts["all_at_once"]["n"]) == (2, 12)
    assert 0 < acts["idle"]["p50"] <= acts["idle"]["p99"]
    for restarted in (found["restart"]["waiting"], found["restart"]["none"]):
        assert 0 < restarted["healthz_s"] <= restarted["approvals_s"] <= restarted["readyz_s"]


def test_every_bench_says_what_it_is_for() -> None:
    said = subprocess.run(
        [sys.executable, str(BENCH), "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    for path in (ROOT / "scripts" / "benches").glob("[a-z]*.py"):
        assert path.stem in said.stdout


@pytest.mark.server
def test_index_finds_what_is_nearest(knowledge: Path) -> None:
    found = bench(knowledge, "index", "--cases", "300", "--queries", "40", "--adds", "20", "--rate", "100")
    # So few are searched one by one, which misses nothing.
    assert (found["cases"], found["cells"], found["recall_at_5"]) == (320, 0, 1.0)
    assert found["open_s"] >= 0
    assert 0 < found["search_ms"]["p50"] <= found["search_ms"]["p99"]
    assert found["adds_per_second"] > 0
