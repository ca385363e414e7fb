"""An installation for each test, to be killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Mendline, install


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Mendline]:
    """Not running yet."""
    site = install(tmp_path / "site")
    yield site
    site.end()
