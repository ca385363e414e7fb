"""The targets that the documents show are ones that can be registered, and their people ones who can be read."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from app.people.channels import Connection
from app.people.directory import read_directory
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

PEOPLE = [
    block
    for page in ("README.md", "docs/people.md")
    for block in re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)
    if re.match("people:|channels:", block)
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['system']}-{entry['name']}")
def test_it_can_be_registered(entry: dict[str, object]) -> None:
    target = RegisteredTarget.model_validate(entry)
    strategies = {kind.id: kind for kind in STRATEGIES}
    for name in target.allow:
        assert strategies[name].Params.model_validate(target.defaults.get(name, {}))


@pytest.mark.parametrize("block", PEOPLE)
def test_it_can_be_read_as_people_yaml(block: str, tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(block)
    directory = read_directory(tmp_path / "people.yaml")
    assert directory.people or directory.routes


def test_every_kind_of_channel_is_shown() -> None:
    shown = set(re.findall(r"(?<!_)type: (\w+)", "".join(PEOPLE)))
    kinds = {get_args(one.model_fields["type"].annotation)[0] for one in get_args(get_args(Connection)[0])}
    assert kinds == shown
