"""Servers that the tests of a run share; each test brings targets of its own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.scenes import SECRET, Make, Receiver, Scene
from tests.server import Mendline, install


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Gets what people are told by `site`."""
    with Receiver().running() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Mendline]:
    """A server that runs all the time."""
    site = install(
        tmp_path_factory.mktemp("site"),
        people__webhooks=receiver.url,
        intake__github_secret=SECRET,
        intake__alertmanager_secret=SECRET,
    )
    try:
        site.start()
        yield site
    finally:
        site.end()


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mendline]:
    """A server with narrow limits that runs all the time."""
    site = install(
        tmp_path_factory.mktemp("strict"),
        pipeline__approval_minutes=0.01,
        web__events_per_second=20,
        web__body_limit=50_000,
    )
    try:
        site.start()
        yield site
    finally:
        site.end()


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Mendline]:
    """An installation for one test, which starts and stops it."""
    site = install(tmp_path / "lone")
    yield site
    site.end()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Make]:
    """Makes scenes and ends them."""
    made: list[Scene] = []

    def make(kind: type[Scene]) -> Scene:
        made.append(kind(tmp_path / f"scene-{len(made)}"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def name() -> str:
    """A name for a target that no other test uses."""
    return f"target-{uuid4().hex[:8]}"
