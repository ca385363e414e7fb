"""The targets that the documents show are ones that can be registered."""

import re
from pathlib import Path

import pytest
import yaml

from app.remediation.strategies import STRATEGIES
from app.systems.targets import RegisteredTarget

ROOT = Path(__file__).parents[2]
ENTRIES = [
    entry
    for page in ("README.md", "docs/targets.md")
    for block in re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)
    if "connection:" in block
    for entry in yaml.safe_load(block if block.startswith("targets:") else f"targets:\n{block}")["targets"]
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['system']}-{entry['name']}")
def test_it_can_be_registered(entry: dict[str, object]) -> None:
    target = RegisteredTarget.model_validate(entry)
    strategies = {kind.id: kind for kind in STRATEGIES}
    for name in target.allow:
        assert strategies[name].Params.model_validate(target.defaults.get(name, {}))
