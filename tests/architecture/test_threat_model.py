"""The threat model names a test for each defence, and the test is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs" / "threat-model.md").read_text())


def test_it_names_some() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_it_is_there(path: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / path).read_text()
