"""What `mendline new` writes works as written, in a copy of the tree."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.knowledge.taxonomy import read_taxonomy
from tests.commands.conftest import Mendline

ROOT = Path(__file__).parents[2]
_UNWANTED = shutil.ignore_patterns("__pycache__", "*.onnx", "cases", "runbooks")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The part of a checkout that is looked at."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("app", "tests", "knowledge"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=_UNWANTED)
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def run(tree: Path, *args: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *args], cwd=tree, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def good(tree: Path, part: str, test: str) -> None:
    """The generated test passes, and the checks are content with what was written."""
    run(tree, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", test)
    run(tree, "ruff", "check", "--no-cache", part, test)
    run(tree, "ruff", "format", "--check", "--no-cache", part, test)
    run(tree, "mypy", "--follow-imports=silent", "--cache-dir", str(tree / ".mypy_cache"), *sorted({part}))


def test_a_new_strategy(mendline: Mendline, tree: Path) -> None:
    done = mendline("new", "strategy", "mend_permissions", "--into", str(tree))
    assert done.code == 0, done.err
    assert "MendPermissions" in (tree / "app/remediation/strategies/__init__.py").read_text()
    assert read_taxonomy(tree / "knowledge/taxonomy.yaml").strategies["mend_permissions"].risk == "low"
    good(tree, "app/remediation/strategies/mend_permissions.py", "tests/remediation/test_mend_permissions.py")
    listed = "from app.remediation.strategies import STRATEGIES as s; assert s[-2].id == 'mend_permissions'"
    subprocess.run([sys.executable, "-c", listed], cwd=tree, check=True, timeout=60)
    again = mendline("new", "strategy", "mend_permissions", "--into", str(tree))
    assert again.code == 1
    assert "is there already" in again.err


def test_a_new_gate(mendline: Mendline, tree: Path) -> None:
    done = mendline("new", "gate", "brevity", "--into", str(tree))
    assert done.code == 0, done.err
    good(tree, "app/decision/gates/brevity.py", "tests/decision/test_brevity.py")
    run(
        tree,
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/contracts/test_gates.py",
        "-k",
        "brevity or every_file",
    )


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
