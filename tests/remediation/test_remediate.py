"""The order of a repair, with an engine that only remembers: what runs, what is undone, what is told."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.db.engine import Database, sqlite_url
from app.decision.plan import Plan, PlannedAction, Risk, Step
from app.foundation.clock import FrozenClock
from app.foundation.record import Record
from app.knowledge.playbook import Action, OnError, Result, Retry, When
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from app.remediation.remediate import Acts, Point, remediate, take_back
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    NeedsHuman,
    NotDone,
    Pending,
    Receipt,
    Snapshot,
    Undone,
    Verified,
)
from app.tables import metadata
from tests.situations import NOW, plan


class Engine:
    """Remembers what it recorded and slept. With what a former one recorded it is a replay after a crash."""

    def __init__(self, recorded: dict[str, Any] | None = None, most: int = 1000) -> None:
        self.recorded = dict(recorded or {})
        self.names: list[str] = []
        self.slept: list[float] = []
        self._most = most

    async def step(self, name: str, call: Callable[..., Any], *args: Any) -> Any:
        assert name not in self.names, "two steps of one name"
        self.names.append(name)
        if name not in self.recorded:
            if len(self.recorded) >= self._most:
                raise KeyboardInterrupt
            self.recorded[name] = call(*args)
        return self.recorded[name]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class NoParams(Record):
    pass


class Marks:
    """A strategy that writes its step's word into a list; `ill` says of words how their verifying ends."""

    id: ClassVar[str] = "marks"
    version: ClassVar[str] = "1"
    risk: ClassVar[Risk] = Risk.LOW
    Params: ClassVar[type[Record]] = NoParams

    def __init__(self, ill: dict[str, str]) -> None:
        self.ill = ill
        self.world: list[str] = []
        self.keys: list[str] = []

    def plan(self, subject: Any, params: Any) -> Plan:
        raise NotImplementedError

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        if self.ill.get(plan.steps[0].says) == "no backup":
            raise NeedsHuman("the disk is full")
        return Snapshot(data={"world": list(self.world)}, says=str(keep.name))

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        assert key not in self.keys, "a key was used twice"
        self.keys.append(key)
        if self.ill.get(step.says) == "no hands":
            raise NeedsHuman("nobody may")
        self.world.append(step.says)
        return Receipt(step=step.index, says=f"wrote {step.says}")

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> NotDone | Receipt:
        return Receipt(step=step.index, says="found") if key in self.keys else NotDone()

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved:
        word = plan.steps[0].says
        how = self.ill.get(word, "")
        if how.startswith("once"):
            del self.ill[word]
        if how.endswith("pending"):
            return Pending(says="not yet")
        return Disproved(says=f"{word} did not help") if how else Verified(says=f"{word} helped")

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        word = plan.steps[0].says
        if self.ill.get(word) == "stuck":
            return CannotUndo(because=f"{word} stays")
        if receipts and word in self.world:
            assert self.world[-1] == word, "not undone backwards"
            self.world.pop()
        return Undone(says=f"{word} is gone")


def single(word: str) -> Plan:
    steps = (Step(index=0, says=word, does={}),)
    return plan(strategy="marks", order="sequence", steps=steps, settle=0, within=100, undo="take it back")


def playbook(**asked: dict[str, Any]) -> Plan:
    """One action for each word, with what the runbook asks of it."""
    actions = tuple(
        PlannedAction(number=n, asked=Action(strategy="marks", **fields), plan=single(word))
        for n, (word, fields) in enumerate(asked.items(), 1)
    )
    steps = tuple(Step(index=n, says=word, does={}) for n, word in enumerate(asked))
    return plan(strategy="playbook:test", order="sequence", steps=steps, actions=actions)


class World:
    """A repair of a plan, and what came of it."""

    def __init__(self, folder: Path, made: Plan, **ill: str) -> None:
        self.strategy = Marks(ill)
        self.database = Database(sqlite_url(folder / "test.db"))
        metadata.create_all(self.database.engine)
        self.points: list[tuple[Point, str]] = []
        self.acts = Acts(
            self.database,
            FrozenClock(NOW),
            {"marks": self.strategy},
            folder / "backups",
            lambda point, strategy: self.points.append((point, strategy)),
        )
        self.repair = store.Remediation(
            id="rem_1",
            incident_id="inc_1",
            decision_id="dec_1",
            approved_by="",
            strategy=made.strategy,
            target=made.target,
            started_at=NOW,
            plan=made,
        )
        with self.database.writing() as session:
            store.begin(session, self.repair)
        self.engine = Engine()

    async def run(self) -> Outcome:
        return await remediate(self.engine, self.acts, self.repair)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


def results(outcome: Outcome) -> list[str]:
    return [action.result for action in outcome.actions]


async def test_a_plan_of_one_strategy_goes_through_the_steps_that_it_always_had(tmp_path: Path) -> None:
    # What the engine recorded for a repair before there were playbooks must lead the same way now.
    world = World(tmp_path, single("a"), a="no")
    outcome = await world.run()
    assert world.engine.names == ["snapshot", "act 0 1", "check 0 0", "touched", "undo", "end"]
    assert (outcome.ended, outcome.says, outcome.undone) == (Ended.UNDONE, "a did not help", "a is gone")
    assert outcome.actions == ()
    assert (tmp_path / "backups" / "rem_1").is_dir()


async def test_every_action_in_order_with_a_backup_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={}))
    outcome = await world.run()
    assert (outcome.ended, results(outcome)) == (Ended.VERIFIED, ["verified", "verified"])
    assert outcome.says == "action 2, marks: b helped"
    assert world.strategy.world == ["a", "b"]
    kept = sorted(path.name for path in (tmp_path / "backups" / "rem_1").iterdir())
    assert kept == ["1.1", "2.1"]
    with world.database.reading() as session:
        assert store.outcome(session, "rem_1") == outcome


@pytest.mark.parametrize(
    ("on_error", "ended", "world_after", "told"),
    [
        (OnError.UNDO, Ended.UNDONE, [], ["verified", "failed", "not reached"]),
        (OnError.CONTINUE, Ended.VERIFIED, ["a", "c"], ["verified", "failed", "verified"]),
        (OnError.STOP, Ended.HANDED_OVER, ["a"], ["verified", "failed", "not reached"]),
        (OnError.ASK, Ended.HANDED_OVER, ["a"], ["verified", "failed", "not reached"]),
    ],
)
async def test_what_follows_a_failing_action(
    tmp_path: Path, on_error: OnError, ended: Ended, world_after: list[str], told: list[str]
) -> None:
    world = World(tmp_path, playbook(a={}, b={"on_error": on_error}, c={}), b="no")
    outcome = await world.run()
    assert (outcome.ended, world.strategy.world, results(outcome)) == (ended, world_after, told)
    if on_error is OnError.UNDO:
        assert outcome.undone == "b is gone; a is gone"
        assert [action.undone for action in outcome.actions] == ["a is gone", "b is gone", ""]
    if on_error is OnError.ASK:
        assert outcome.says.endswith("What was done by action 1 stands; a person decides whether to undo it")


async def test_it_is_tried_again_under_a_key_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={"retry": Retry(times=2, wait=30)}), a="once")
    outcome = await world.run()
    assert (outcome.ended, world.strategy.world) == (Ended.VERIFIED, ["a"])
    assert len(set(world.strategy.keys)) == 2
    assert world.engine.slept == [30]


async def test_it_is_not_tried_again_where_a_person_is_needed(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={"retry": Retry(times=5)}), b="no backup")
    outcome = await world.run()
    assert (outcome.ended, outcome.undone, world.strategy.world) == (Ended.HANDED_OVER, "a is gone", [])
    assert "2.2 snapshot" not in world.engine.names


async def test_a_timeout_ends_the_waiting(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={"timeout": 2}), a="pending")
    outcome = await world.run()
    assert (outcome.ended, outcome.actions[0].says) == (Ended.UNDONE, "it took longer than 2 s")
    assert sum(world.engine.slept) == pytest.approx(2)


async def test_a_condition_on_former_results(tmp_path: Path) -> None:
    after = {"when": When(results={1: (Result.FAILED,)})}
    world = World(tmp_path, playbook(a={"on_error": OnError.CONTINUE}, b=after, c={}))
    outcome = await world.run()
    assert results(outcome) == ["verified", "skipped", "verified"]
    assert outcome.actions[1].says == "action 1 was verified, not failed"
    assert world.strategy.world == ["a", "c"]


async def test_undoing_stops_at_what_cannot_be_taken_back(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={}, c={}), c="stuck")
    outcome = await world.run()
    assert (outcome.ended, outcome.undone) == (Ended.STUCK, "c stays")
    assert world.strategy.world == ["a", "b", "c"], "what lies under it may depend on it"


async def test_nothing_helped(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={"on_error": OnError.CONTINUE}), a="no")
    outcome = await world.run()
    assert (outcome.ended, world.strategy.world) == (Ended.UNDONE, [])


@pytest.mark.parametrize("most", range(1, 14))
@pytest.mark.parametrize("recorded", [True, False], ids=["each step was recorded", "all of them run again"])
async def test_a_crash_after_any_step_changes_nothing(tmp_path: Path, most: int, recorded: bool) -> None:
    made = playbook(a={}, b={"retry": Retry(times=1)}, c={})
    world = World(tmp_path, made, c="no")
    world.engine = Engine(most=most)
    with pytest.raises(KeyboardInterrupt):
        await world.run()
    world.engine = Engine(world.engine.recorded if recorded else None)
    outcome = await world.run()
    assert (outcome.ended, world.strategy.world) == (Ended.UNDONE, [])
    assert results(outcome) == ["verified", "verified", "failed"]


async def test_what_only_a_person_can_go_on_with_is_not_begun_again(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={}), b="no hands")
    first = await world.run()
    asked = list(world.strategy.keys)
    del world.strategy.ill["b"]
    world.engine = Engine()
    assert await world.run() == first
    assert (first.ended, world.strategy.keys, world.strategy.world) == (Ended.HANDED_OVER, asked, [])


async def test_what_could_not_be_kept_is_not_tried_after_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={}), b="no backup")
    first = await world.run()
    del world.strategy.ill["b"]
    world.engine = Engine()
    assert await world.run() == first
    assert (first.ended, world.strategy.world) == (Ended.HANDED_OVER, [])


async def test_what_was_undone_is_not_found_to_have_helped(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={"timeout": 2}), a="pending")
    await world.run()
    with world.database.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM outcome")
    del world.strategy.ill["a"]
    world.engine = Engine()
    outcome = await world.run()
    assert (outcome.ended, world.strategy.world) == (Ended.UNDONE, [])


async def test_an_undoing_that_failed_is_not_told_as_done(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={}))
    await world.run()
    world.strategy.ill["b"] = "stuck"
    for _ in range(2):
        taken = await take_back(Engine(), world.acts, "rem_1")
        assert (taken.how, taken.says, world.strategy.world) == ("failed", "b stays", ["a", "b"])


async def test_what_stands_is_taken_back_later_and_only_that(tmp_path: Path) -> None:
    world = World(tmp_path, playbook(a={}, b={"on_error": OnError.CONTINUE}, c={}), b="no")
    await world.run()
    engine = Engine()
    taken = await take_back(engine, world.acts, "rem_1")
    assert (taken.how, taken.says, world.strategy.world) == ("done", "c is gone; a is gone", [])
    assert (await take_back(Engine(), world.acts, "rem_1")).says == "", "nothing stands any more"


def test_a_plan_that_the_engine_kept_before_there_were_playbooks_can_be_read() -> None:
    former = single("a")
    hash_ = former.hash
    del former.__dict__["actions"], former.__dict__["hash"]
    found: Plan = pickle.loads(pickle.dumps(former))
    assert (found.actions, found.hash) == ((), hash_)
