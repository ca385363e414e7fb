"""A Slack to talk to."""

from collections.abc import Iterator

import pytest

from app.commands.playground_slack import Workspace


@pytest.fixture
def slack() -> Iterator[Workspace]:
    """The playground's, on a loopback port; whatever broke in it fails the test."""
    workspace = Workspace()
    with workspace.running():
        yield workspace
    assert workspace.broken == []
