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
