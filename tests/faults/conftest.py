"""Installations for each test, to be killed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import ROOT, Mendline, install


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Mendline]:
    """The whole service, not running yet."""
    site = install(tmp_path / "site")
    yield site
    site.end()


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Mendline:
    """What `Mendline.start_engine` needs, with empty tables; to be copied."""
    folder = tmp_path_factory.mktemp("bare")
    knowledge = folder / "knowledge"
    knowledge.mkdir()
    shutil.copy(ROOT / "knowledge" / "taxonomy.yaml", knowledge)
    shutil.copy(ROOT / "tests" / "data" / "knowledge" / "policy.yaml", knowledge)
    bare = Mendline(folder, knowledge)
    bare.start_engine("escalate_to_human", "unknown_error", "--until-ended")
    assert bare.await_end() == 0, bare.log
    return bare
