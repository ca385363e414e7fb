"""Undoing an ended repair: when it may be asked for, once, and what it takes back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import NOTHING_TO_UNDO
from app.remediation import store, undo
from app.remediation.undo import CannotBeUndone, Undo
from tests.remediation.test_remediate import World, playbook, single
from tests.situations import NOW

pytestmark = pytest.mark.anyio
DAYS = timedelta(days=30)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ask(world: World, at: Any = NOW, reason: str = "") -> Undo:
    with world.database.writing() as session:
        return undo.ask(session, "rem_1", actor="ada", reason=reason, at=at, within=DAYS)


async def test_it_is_asked_for_once_and_stands_in_the_journal(tmp_path: Path) -> None:
    world = World(tmp_path, single("a"))
    await world.run()
    asked = ask(world, reason="the former one was right")
    assert (asked.actor, asked.reason, asked.done) == ("ada", "the former one was right", None)
    with world.database.reading() as session:
        assert undo.waiting(session) == ["rem_1"]
        (entry,) = store.journal(session, "rem_1", store.Kind.ASKED)
    assert "ada had it undone: the former one was right" in entry.body
    with pytest.raises(CannotBeUndone, match="ada asked for it already, at 2026-11-20 12:00:00 UTC"):
        ask(world)
    with world.database.writing() as session:
        undo.end(session, "rem_1", done=True, says="as before", at=NOW)
        again = undo.end(session, "rem_1", done=False, says="another end", at=NOW)
    assert (again.done, again.says) == (True, "as before"), "the first end stands"
    with world.database.reading() as session:
        assert undo.waiting(session) == []


async def test_while_it_is_under_way_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(CannotBeUndone, match="it is under way"):
        ask(World(tmp_path, single("a")))


async def test_what_was_undone_already_is_not(tmp_path: Path) -> None:
    world = World(tmp_path, single("a"), a="no")
    await world.run()
    with pytest.raises(CannotBeUndone, match="it ended undone, and nothing that it did stands"):
        ask(world)


@pytest.mark.parametrize(
    ("undoes", "why"),
    [(None, "what it did cannot be taken back"), (NOTHING_TO_UNDO, "there is nothing to undo")],
)
async def test_what_has_no_undo_is_not(tmp_path: Path, undoes: str | None, why: str) -> None:
    world = World(tmp_path, single("a").model_copy(update={"undo": undoes}))
    await world.run()
    with pytest.raises(CannotBeUndone, match=why):
        ask(world)


async def test_after_its_backups_are_gone_it_is_not(tmp_path: Path) -> None:
    world = World(tmp_path, single("a"))
    await world.run()
    with pytest.raises(CannotBeUndone, match="its backups were kept for 30 days only"):
        ask(world, NOW + DAYS)
    assert ask(world, NOW + DAYS - timedelta(seconds=1)).done is None


async def test_a_playbook_that_stopped_in_the_middle_can_be(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={"on_error": "ask"}), b="no")
    await world.run()
    assert ask(world).done is None


async def test_an_undone_repair_did_not_help(tmp_path: Path) -> None:
    world = World(tmp_path, single("a"))
    await world.run()
    with world.database.reading() as session:
        assert store.records(session)["marks"].successes == 1
    ask(world)
    with world.database.reading() as session:
        record = store.records(session)["marks"]
    assert (record.successes, record.trials) == (0, 1)


async def test_old_backups_are_swept(tmp_path: Path) -> None:
    world = World(tmp_path, single("a"))
    folder = tmp_path / "backups" / "rem_1"
    folder.mkdir(parents=True)
    world.acts.sweep_backups(timedelta(0))
    assert folder.exists(), "a repair under way keeps its own"
    await world.run()
    world.acts.sweep_backups(timedelta(days=1))
    assert folder.exists()
    ask(world)
    world.acts.sweep_backups(timedelta(0))
    assert folder.exists(), "it is needed for undoing"
    with world.database.writing() as session:
        undo.end(session, "rem_1", done=True, says="as before", at=NOW)
    world.acts.sweep_backups(timedelta(0))
    assert not folder.exists()


async def test_targets_are_held_all_or_none_until_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, single("a"))
    with world.database.writing() as session:
        assert store.hold(session, "rem_1", ["one", "two"], NOW)
        assert store.hold(session, "rem_1", ["one", "two"], NOW), "holding twice is once"
        assert not store.hold(session, "rem_2", ["three", "two"], NOW)
        assert store.hold(session, "rem_3", ["three"], NOW), (
            "what could not be held whole is not held in part"
        )
    await world.run()
    with world.database.writing() as session:
        assert store.hold(session, "rem_2", ["two"], NOW)
