"""Remediate: snapshot, act, verify, undo when it did not help, in this order and no other.

The order lives in `remediate`, an async function without clock, randomness, I/O or database:
everything that touches the world is a step of `Acts`, which the durable engine records. A
step may run again before it was recorded, so each is written to be repeatable.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from app.db.engine import Database
from app.decision.plan import Step
from app.foundation.clock import Clock
from app.foundation.ids import derived_id
from app.foundation.logging import log
from app.foundation.record import Record
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from app.remediation.store import Kind
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    HandedOver,
    NeedsHuman,
    NotDone,
    Pending,
    Receipt,
    RetryLater,
    Snapshot,
    Strategies,
    Strategy,
    Unclear,
    Undone,
    Verified,
)

R = TypeVar("R")
_MOST_RETRIES = 5
_POLL = 0.5  # seconds between two looks at a signal, growing
_POLL_MOST = 10.0


class Point(StrEnum):
    """The named points of a repair: between any two of them a crash is survived."""

    BEGUN = "begun"
    SNAPSHOT_TAKEN = "snapshot_taken"
    SNAPSHOT_STORED = "snapshot_stored"
    INTENT_STORED = "intent_stored"
    ACTED = "acted"
    RECEIPT_STORED = "receipt_stored"
    CHECKED = "checked"
    UNDONE = "undone"
    UNDO_STORED = "undo_stored"
    ENDED = "ended"


class Durable(Protocol):
    """What the durable engine gives: steps that are recorded, and sleeps that survive."""

    async def step(self, name: str, call: Callable[..., R], *args: Any) -> R:
        """Runs `call` once it is this step's turn; after a crash a recorded result is returned."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits; after a crash only for the rest."""
        ...


class Acted(Record):
    """What became of one step: done, later (after so many seconds), or a person is needed."""

    how: str
    says: str
    after: float = 0


class Looked(Record):
    """What verifying said: verified, pending, disproved or handed_over."""

    how: str
    says: str


class Acts:
    """The steps of a repair. Each is synchronous, repeatable, and holds no session while it acts."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        strategies: Strategies,
        backups: Path,
        reach: Callable[[Point, str], None] = lambda point, strategy: None,
    ) -> None:
        """`backups` holds one folder per remediation; `reach` is told of every named point."""
        self._database = database
        self._clock = clock
        self._strategies = strategies
        self._backups = backups
        self._reach = reach

    def load(self, remediation_id: str) -> store.Remediation:
        """The remediation as it was begun."""
        with self._database.reading() as session:
            return store.get(session, remediation_id)

    def _strategy(self, remediation: store.Remediation) -> Strategy:
        return self._strategies[remediation.strategy]

    def snapshot(self, remediation_id: str) -> Acted:
        """Keeps what undoing needs."""
        remediation = self.load(remediation_id)
        self._reach(Point.BEGUN, remediation.strategy)
        folder = self._backups / remediation_id
        folder.mkdir(parents=True, exist_ok=True)
        try:
            taken = self._strategy(remediation).snapshot(remediation.plan, folder)
        except NeedsHuman as need:
            return Acted(how="human", says=need.says)
        except Exception as error:
            return Acted(how="human", says=self._defect("snapshot", remediation, error))
        self._reach(Point.SNAPSHOT_TAKEN, remediation.strategy)
        self._note(remediation_id, Kind.SNAPSHOT, 0, taken)
        self._reach(Point.SNAPSHOT_STORED, remediation.strategy)
        return Acted(how="done", says=taken.says)

    def act(self, remediation_id: str, index: int, attempt: int) -> Acted:
        """One step in three beats: intent, act, receipt. An intent without a receipt is recalled first."""
        remediation = self.load(remediation_id)
        strategy, plan = self._strategy(remediation), remediation.plan
        step: Step = plan.steps[index]
        with self._database.reading() as session:
            receipts = store.journal(session, remediation_id, Kind.RECEIPT)
            intents = store.journal(session, remediation_id, Kind.INTENT)
        done = [Receipt.model_validate_json(entry.body) for entry in receipts if entry.step == index]
        if done:
            return Acted(how="done", says=done[0].says)
        key = derived_id("key", remediation_id, str(index))
        kept = self._kept(remediation_id)
        if any(entry.step == index for entry in intents):
            recalled = self._recall(remediation, step, key, kept)
            if isinstance(recalled, Unclear):
                return Acted(
                    how="human", says=f"after a crash it is unclear whether this was done: {recalled.because}"
                )
            if isinstance(recalled, Receipt):
                self._note(remediation_id, Kind.RECEIPT, index, recalled)
                return Acted(how="done", says=recalled.says)
        else:
            self._note(remediation_id, Kind.INTENT, index, step)
        self._reach(Point.INTENT_STORED, remediation.strategy)
        try:
            receipt = strategy.execute(plan, step, key, kept)
        except RetryLater as later:
            if attempt >= _MOST_RETRIES:
                return Acted(how="failed", says=f"{later.says}, {attempt} times")
            return Acted(how="later", says=later.says, after=later.after.total_seconds())
        except NeedsHuman as need:
            return Acted(how="human", says=need.says)
        except Exception as error:
            return Acted(how="human", says=self._defect("execute", remediation, error))
        self._reach(Point.ACTED, remediation.strategy)
        self._note(remediation_id, Kind.RECEIPT, index, receipt)
        self._reach(Point.RECEIPT_STORED, remediation.strategy)
        return Acted(how="done", says=receipt.says)

    def check(self, remediation_id: str, index: int, nth: int) -> Looked:
        """One look at the incident's own signal."""
        remediation = self.load(remediation_id)
        looked: Verified | Pending | Disproved | HandedOver
        try:
            looked = self._strategy(remediation).verify(remediation.plan, self._receipts(remediation_id))
        except Exception as error:
            looked = Pending(says=self._defect("verify", remediation, error))
        hows = {
            Verified: "verified",
            Pending: "pending",
            Disproved: "disproved",
            HandedOver: Ended.HANDED_OVER.value,
        }
        how = hows[type(looked)]
        result = Looked(how=how, says=looked.says)
        if how != "pending":
            self._note(remediation_id, Kind.CHECK, index, result, nth)
        self._reach(Point.CHECKED, remediation.strategy)
        return result

    def undo(self, remediation_id: str) -> Acted:
        """Puts back what the receipts and an open intent say may have been done."""
        remediation = self.load(remediation_id)
        with self._database.reading() as session:
            before = store.journal(session, remediation_id, Kind.UNDO)
        if before:
            return Acted.model_validate_json(before[0].body)
        strategy, plan = self._strategy(remediation), remediation.plan
        receipts = self._receipts(remediation_id)
        # An intent may have had its effect although no receipt tells of it.
        with self._database.reading() as session:
            intents = store.journal(session, remediation_id, Kind.INTENT)
        for entry in intents:
            if not any(receipt.step == entry.step for receipt in receipts):
                step = plan.steps[entry.step]
                key = derived_id("key", remediation_id, str(entry.step))
                recalled = self._recall(remediation, step, key, self._kept(remediation_id))
                if isinstance(recalled, Receipt):
                    receipts.append(recalled)
        undone: Undone | CannotUndo
        try:
            undone = strategy.rollback(plan, self._kept(remediation_id), receipts)
        except Exception as error:
            undone = CannotUndo(because=self._defect("rollback", remediation, error))
        self._reach(Point.UNDONE, remediation.strategy)
        if isinstance(undone, CannotUndo):
            result = Acted(how="failed", says=undone.because)
        else:
            result = Acted(how="done", says=undone.says)
        self._note(remediation_id, Kind.UNDO, 0, result)
        self._reach(Point.UNDO_STORED, remediation.strategy)
        return result

    def touched(self, remediation_id: str) -> bool:
        """Whether anything may have been done: an intent was stored."""
        with self._database.reading() as session:
            return bool(store.journal(session, remediation_id, Kind.INTENT))

    def end(self, remediation_id: str, ended: Ended, says: str, undone: str) -> Outcome:
        """Stores the outcome and returns it; the first end stands."""
        remediation = self.load(remediation_id)
        outcome = Outcome(
            remediation_id=remediation_id,
            incident_id=remediation.incident_id,
            strategy=remediation.strategy,
            target=remediation.target,
            ended=ended,
            at=self._clock.now(),
            says=says,
            undone=undone,
        )
        with self._database.writing() as session:
            store.end(session, outcome)
            session.flush()
            stored = store.outcome(session, remediation_id)
        self._reach(Point.ENDED, remediation.strategy)
        assert stored is not None
        return stored

    def _recall(
        self, remediation: store.Remediation, step: Step, key: str, kept: Snapshot
    ) -> Receipt | NotDone | Unclear:
        try:
            return self._strategy(remediation).recall(remediation.plan, step, key, kept)
        except Exception as error:
            return Unclear(because=self._defect("recall", remediation, error))

    def _defect(self, where: str, remediation: store.Remediation, error: Exception) -> str:
        """A strategy raised what it may not: logged as our defect, said in one line."""
        log(__name__).error(
            "strategy.failed",
            strategy=remediation.strategy,
            where=where,
            remediation_id=remediation.id,
            exc_info=error,
        )
        return f"{where} failed: {type(error).__name__}: {error}"[:500]

    def _kept(self, remediation_id: str) -> Snapshot:
        with self._database.reading() as session:
            entries = store.journal(session, remediation_id, Kind.SNAPSHOT)
        return Snapshot.model_validate_json(entries[0].body) if entries else Snapshot()

    def _receipts(self, remediation_id: str) -> list[Receipt]:
        with self._database.reading() as session:
            entries = store.journal(session, remediation_id, Kind.RECEIPT)
        return [Receipt.model_validate_json(entry.body) for entry in entries]

    def _note(self, remediation_id: str, kind: Kind, step: int, told: Record, nth: int = 0) -> None:
        with self._database.writing() as session:
            store.note(session, remediation_id, kind, step, self._clock.now(), told.model_dump_json(), nth)


async def remediate(durable: Durable, acts: Acts, remediation: store.Remediation) -> Outcome:
    """Runs a begun repair to its end. `remediation` is as stored, so a replay sees the same plan."""
    plan, rid = remediation.plan, remediation.id

    async def finish(ended: Ended, says: str, undone: str = "") -> Outcome:
        return await durable.step("end", acts.end, rid, ended, says, undone)

    async def give_up(says: str, human: bool) -> Outcome:
        if not await durable.step("touched", acts.touched, rid):
            return await finish(Ended.HANDED_OVER, says)
        undone = await durable.step("undo", acts.undo, rid)
        if undone.how != "done":
            return await finish(Ended.STUCK, says, undone.says)
        return await finish(Ended.HANDED_OVER if human else Ended.UNDONE, says, undone.says)

    kept = await durable.step("snapshot", acts.snapshot, rid)
    if kept.how != "done":
        return await finish(Ended.HANDED_OVER, kept.says)

    said = ""
    for step in plan.steps:
        if step.after:
            await durable.sleep(step.after)
        acted = await _act(durable, acts, rid, step)
        if acted.how == "human":
            return await give_up(acted.says, human=True)
        if acted.how == "failed":
            return await give_up(acted.says, human=False)
        last = plan.order == "ladder" or step.index == plan.steps[-1].index
        if not last and not step.within:
            continue
        looked = await _settled(durable, acts, rid, step, plan.within if last else step.within, plan.settle)
        said = looked.says
        if last and looked.how == "verified":
            return await finish(Ended.VERIFIED, looked.says)
        if looked.how == Ended.HANDED_OVER:
            return await finish(Ended.HANDED_OVER, looked.says)
        if not last and looked.how != "verified":
            break
    return await give_up(said, human=False)


async def _act(durable: Durable, acts: Acts, remediation_id: str, step: Step) -> Acted:
    for attempt in range(1, _MOST_RETRIES + 1):
        acted = await durable.step(
            f"act {step.index} {attempt}", acts.act, remediation_id, step.index, attempt
        )
        if acted.how != "later":
            return acted
        await durable.sleep(acted.after)
    return acted


async def _settled(
    durable: Durable, acts: Acts, remediation_id: str, step: Step, within: float, settle: float
) -> Looked:
    """Waits until the signal recovers, then until it has held for `settle` seconds.

    The waiting time is counted from the sleeps alone, so a replay makes the same turns.
    """
    waited, pause, nth = 0.0, _POLL, 0
    while True:
        looked = await durable.step(f"check {step.index} {nth}", acts.check, remediation_id, step.index, nth)
        nth += 1
        if looked.how == "verified":
            if settle:
                await durable.sleep(settle)
                held = await durable.step(
                    f"check {step.index} {nth}", acts.check, remediation_id, step.index, nth
                )
                if held.how != "verified":
                    return Looked(how="disproved", says=f"it did not hold for {settle:g} s: {held.says}")
            return looked
        if looked.how in ("disproved", Ended.HANDED_OVER):
            return looked
        if waited >= within:
            return Looked(how="disproved", says=f"no sign of recovery within {within:g} s: {looked.says}")
        await durable.sleep(pause)
        waited += pause
        pause = min(pause * 1.5, _POLL_MOST)
