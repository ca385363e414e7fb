import os
from pathlib import Path

import pytest

from app.systems.targets import Targets
from tests.doubles import register


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"targets: [", "targets.yaml is not YAML"),
        (b"- a list", "targets.yaml is not valid"),
        (b"targets: 2026-13-01", "targets.yaml cannot be read"),
        (b"\xff\xfe", "targets.yaml cannot be read"),
    ],
)
def test_a_broken_file_keeps_the_version_that_worked(tmp_path: Path, content: bytes, says: str) -> None:
    targets: Targets = register(tmp_path, {"type": "http_job", "run": "http://127.0.0.1:1/"})
    before = targets.all()
    assert len(before) == 1
    targets.path.write_bytes(content)
    os.utime(targets.path, (1, 1))
    assert targets.all() == before
    assert targets.problem is not None
    assert targets.problem.says == says


def test_a_group_is_named_or_is_what_system_and_owner_share(tmp_path: Path) -> None:
    def entry(name: str, owner: str, group: str = "") -> str:
        connection = "connection: {type: http_job, run: 'http://127.0.0.1:1/'}"
        return f"- {{system: shop, name: {name}, owner: {owner}, group: '{group}', {connection}}}"

    entries = [entry("a", "data"), entry("b", "data"), entry("c", "web"), entry("d", "data", "web")]
    path = tmp_path / "targets.yaml"
    path.write_text("\n".join(["targets:", *entries, entry("e", "web", "web")]))
    targets = Targets(path)
    assert targets.group("shop//a") == ("shop//a", "shop//b")
    assert targets.group("shop//c") == ("shop//c",)
    assert targets.group("shop//e") == ("shop//d", "shop//e")
    assert targets.group("shop//z") == ()
