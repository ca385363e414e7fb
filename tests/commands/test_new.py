"""What `mendline new` writes works as written, in a copy of the tree."""

import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from app.knowledge.taxonomy import read_taxonomy
from app.plugins import GROUPS, load_plugins
from app.systems.targets import Targets
from tests.commands.conftest import Mendline

ROOT = Path(__file__).parents[2]
_UNWANTED = shutil.ignore_patterns("__pycache__", "*.onnx", "cases", "runbooks")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The part of a checkout that is looked at."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("app", "tests", "knowledge"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=_UNWANTED)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, tree)
    return tree


def run(tree: Path, *args: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *args], cwd=tree, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def python(tree: Path, program: str) -> None:
    subprocess.run([sys.executable, "-c", program], cwd=tree, check=True, timeout=120)


def good(tree: Path, part: str, test: str) -> None:
    """The generated test passes, and the checks are content with what was written."""
    run(tree, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", test)
    run(tree, "ruff", "check", "--no-cache", part, test)
    run(tree, "ruff", "format", "--check", "--no-cache", part, test)
    # Kept from run to run: without it the first look at the types takes minutes.
    run(tree, "mypy", "--follow-imports=silent", "--cache-dir", str(ROOT / ".mypy_cache" / "new"), part)


def test_a_new_strategy(mendline: Mendline, tree: Path) -> None:
    done = mendline("new", "strategy", "mend_permissions", "--into", str(tree))
    assert done.code == 0, done.err
    assert "MendPermissions" in (tree / "app/remediation/strategies/__init__.py").read_text()
    assert read_taxonomy(tree / "knowledge/taxonomy.yaml").strategies["mend_permissions"].risk == "low"
    good(tree, "app/remediation/strategies/mend_permissions.py", "tests/remediation/test_mend_permissions.py")
    python(
        tree, "from app.remediation.strategies import STRATEGIES as s; assert s[-2].id == 'mend_permissions'"
    )
    again = mendline("new", "strategy", "mend_permissions", "--into", str(tree))
    assert again.code == 1
    assert "is there already" in again.err


def contract(tree: Path, suite: str, name: str) -> None:
    """The contract suite of its kind finds it, and it keeps what all of them keep."""
    words = f"{name} or every_file or every_source"
    run(
        tree,
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        f"tests/contracts/{suite}",
        "-k",
        words,
    )


def test_a_new_gate(mendline: Mendline, tree: Path) -> None:
    done = mendline("new", "gate", "brevity", "--into", str(tree))
    assert done.code == 0, done.err
    good(tree, "app/decision/gates/brevity.py", "tests/decision/test_brevity.py")
    contract(tree, "test_gates.py", "brevity")


def test_a_new_scorer(mendline: Mendline, tree: Path) -> None:
    done = mendline("new", "scorer", "same_system", "--into", str(tree))
    assert done.code == 0, done.err
    good(tree, "app/diagnosis/scorers/same_system.py", "tests/diagnosis/test_same_system.py")
    contract(tree, "test_scorers.py", "same_system")
    # It speaks in the diagnoses of the tree that it was written into.
    heard = (
        "from app.diagnosis.diagnosis import Symptom; from tests.diagnosis import small; "
        "found = small.make(None)[0].diagnose(Symptom(message='the ledger stopped', system='system-1')); "
        "assert {'same_system@1'} < {one.scorer for one in found.voices if one.weight > 0}"
    )
    python(tree, heard)


def test_a_new_source(mendline: Mendline, tree: Path) -> None:
    done = mendline("new", "source", "night_jobs", "--into", str(tree))
    assert done.code == 0, done.err
    assert "MENDLINE_INTAKE__NIGHT_JOBS_SECRET opens /api/v1/webhooks/night_jobs" in done.out
    good(tree, "app/intake/sources/night_jobs.py", "tests/intake/test_night_jobs.py")
    run(tree, "ruff", "format", "--check", "--no-cache", "app/intake")
    opened = (
        "from app.intake.sources import open_sources; from app.settings import read_settings; "
        "found = read_settings({'MENDLINE_INTAKE__NIGHT_JOBS_SECRET': 'ours'}).intake; "
        "assert list(open_sources(found)) == ['night_jobs']"
    )
    python(tree, opened)
    # Its setting stands in the README's table.
    run(tree, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_settings.py")


@pytest.mark.parametrize(
    ("kind", "room", "group"),
    [
        ("strategy", "app/remediation/strategies", "mendline.strategies"),
        ("gate", "app/decision/gates", "mendline.gates"),
        ("scorer", "app/diagnosis/scorers", "mendline.scorers"),
    ],
)
def test_what_is_written_may_come_from_a_package(
    mendline: Mendline,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    room: str,
    group: str,
) -> None:
    name = f"packed_{kind}"
    done = mendline("new", kind, name, "--into", str(tree))
    assert done.code == 0, done.err
    (told,) = [line for line in done.out.splitlines() if line.startswith("or move it into a package")]
    assert f'{name} = "your_module:Packed{kind.capitalize()}"' in told
    assert f"the group {group}," in told
    assert f"MENDLINE_PLUGINS__ALLOW={name}" in told
    assert group in GROUPS
    shutil.copy(tree / room / f"{name}.py", tmp_path / f"your_module_{kind}.py")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint(name=name, value=f"your_module_{kind}:Packed{kind.capitalize()}", group=group)
    found = load_plugins([name], Targets(tmp_path / "targets.yaml"), lambda: [point])
    assert found.refused == ()
    made = [*found.strategies, *(one.id for one in (*found.gates, *found.scorers))]
    assert made == [name]


@pytest.mark.parametrize("name", ["Mend", "../evil", "a__b", "9"])
def test_a_name_that_is_none(mendline: Mendline, tmp_path: Path, name: str) -> None:
    done = mendline("new", "strategy", name, "--into", str(tmp_path))
    assert done.code == 1
    assert "no name for a file" in done.err


def test_what_is_no_checkout(mendline: Mendline, tmp_path: Path) -> None:
    done = mendline("new", "strategy", "mend_permissions", "--into", str(tmp_path))
    assert done.code == 1
    assert "name the checkout with --into" in done.err
    assert list(tmp_path.rglob("*.py")) == []
