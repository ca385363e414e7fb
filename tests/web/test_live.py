"""Live updates over a real server: what is told, to how many, and when it ends."""

import time

import pytest

from app.decision import store as decisions
from app.foundation.errors import Busy
from app.people.person import Role
from app.pipeline.marks import APPROVALS, INCIDENTS, marks
from app.web.security import revoke_key
from tests.doubles import until
from tests.web import stage
from tests.web.conftest import Browser, Enter, World

pytestmark = pytest.mark.server


def mark(world: World, page: str) -> str:
    with world.database.reading() as session:
        return marks(session, [page])[page]


class TestMarks:
    def test_each_thing_that_a_page_shows_changes_its_mark(self, world: World) -> None:
        incident_id = world.incident()
        seen = [mark(world, incident_id)]
        for happens in (
            lambda: world.incident(),
            lambda: world.diagnose(incident_id),
            lambda: world.decide(incident_id),
        ):
            happens()
            seen.append(mark(world, incident_id))
        assert len(set(seen)) == len(seen)
        assert mark(world, incident_id) == seen[-1]

    def test_what_happens_to_another_incident_is_no_change(self, world: World) -> None:
        one = world.incident(fingerprint="one")
        before, of_list = mark(world, one), mark(world, INCIDENTS)
        world.diagnose(world.incident(fingerprint="two"))
        assert mark(world, one) == before
        assert mark(world, INCIDENTS) != of_list

    @pytest.mark.parametrize("page", [INCIDENTS, APPROVALS, "inc_1"])
    def test_a_pause_changes_every_page(self, world: World, page: str) -> None:
        before = mark(world, page)
        with world.database.writing() as session:
            decisions.pause(session, actor="ada", reason="", at=world.clock.now())
        assert mark(world, page) != before


def test_a_change_is_told_once_and_the_end_of_the_server_ends_it(world: World, enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    incident_id = world.incident()
    with stage.serving(world) as address:
        with stage.following(address, browser, incident_id, mark(world, incident_id)) as lines:
            world.diagnose(incident_id)
            told = f"id: {mark(world, incident_id)}"
            until(lambda: told in lines, 10)
            world.app.state.live.stopping = lambda: True
            began = time.monotonic()
        assert time.monotonic() - began < 5
    assert lines.count("event: changed") == 1


def test_a_page_that_is_behind_is_told_at_once(world: World, enter: Enter) -> None:
    browser = enter(Role.VIEWER)
    with (
        stage.serving(world) as address,
        stage.following(address, browser, INCIDENTS, "of long ago") as lines,
    ):
        until(lambda: "event: changed" in lines, 10)
        world.app.state.live.stopping = lambda: True


@pytest.mark.parametrize("how", ["revoked", "signed out"])
def test_a_stream_ends_with_its_session(world: World, enter: Enter, how: str) -> None:
    browser = enter(Role.VIEWER)
    page = browser.get("/")
    with (
        stage.serving(world) as address,
        stage.following(address, browser, INCIDENTS, mark(world, INCIDENTS)),
    ):
        if how == "revoked":
            with world.database.writing() as session:
                revoke_key(session, "viewer-1", world.clock.now())
        else:
            until(lambda: world.app.state.live._listeners, 10)
            browser.submit(page, "/sign-out")


def test_a_stranger_gets_no_stream(stranger: Browser) -> None:
    assert "/sign-in" in stranger.get("/live?page=incidents").address


def test_so_many_listen_and_no_more(world: World, enter: Enter) -> None:
    world.app.state.live.most = 1
    browser = enter(Role.VIEWER)
    with stage.serving(world) as address:
        with stage.following(address, browser, APPROVALS, mark(world, APPROVALS)):
            assert world.app.state.live.taken == 1
            refused = browser.get("/live?page=approvals")
            assert refused.status == Busy.status
            assert refused.headers["retry-after"] == "30"
            world.app.state.live.stopping = lambda: True
        until(lambda: not world.app.state.live.taken, 10)
