"""Acts: the steps of a repair, each of which touches the world or our tables.

The durable engine records them. A step may run again before it was recorded, so each is written to be
repeatable; none holds a session while it acts.
"""

import shutil
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from app.db.engine import Database
from app.decision.plan import Step
from app.foundation.clock import Clock
from app.foundation.ids import derived_id
from app.foundation.logging import log
from app.foundation.record import Record
from app.remediation import store, undo
from app.remediation.outcome import ActionEnd, Ended, Outcome
from app.remediation.parts import Part, parts
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

MOST_RETRIES = 5


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
        """`backups` holds one folder per remediation, of a playbook one in it per part; `reach` is told of
        every named point.
        """
        self._database = database
        self._clock = clock
        self._strategies = strategies
        self._backups = backups
        self._reach = reach

    def load(self, remediation_id: str) -> store.Remediation:
        """The remediation as it was begun."""
        with self._database.reading() as session:
            return store.get(session, remediation_id)

    def _part(self, remediation_id: str, nth: int) -> Part:
        return parts(self.load(remediation_id).plan)[nth]

    def _strategy(self, part: Part) -> Strategy:
        return self._strategies[part.plan.strategy]

    def snapshot(self, remediation_id: str, nth: int = 0) -> Acted:
        """Keeps what undoing this part needs."""
        part = self._part(remediation_id, nth)
        self._reach(Point.BEGUN, part.plan.strategy)
        folder = self._backups / remediation_id / part.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            taken = self._strategy(part).snapshot(part.plan, folder)
        except NeedsHuman as need:
            return Acted(how="human", says=need.says)
        except Exception as error:
            return Acted(how="human", says=self._defect("snapshot", remediation_id, part, error))
        self._reach(Point.SNAPSHOT_TAKEN, part.plan.strategy)
        self._note(remediation_id, Kind.SNAPSHOT, nth, taken)
        self._reach(Point.SNAPSHOT_STORED, part.plan.strategy)
        return Acted(how="done", says=taken.says)

    def act(self, remediation_id: str, index: int, attempt: int, nth: int = 0) -> Acted:
        """One step in three beats: intent, act, receipt. An intent without a receipt is recalled first."""
        part = self._part(remediation_id, nth)
        strategy, plan = self._strategy(part), part.plan
        step: Step = plan.steps[index]
        done = [receipt for receipt in self._receipts(remediation_id, part) if receipt.step == index]
        if done:
            return Acted(how="done", says=done[0].says)
        place = part.first + index
        key = derived_id("key", remediation_id, str(place))
        kept = self._kept(remediation_id, part)
        if place in self._intents(remediation_id, part):
            recalled = self._recall(remediation_id, part, step, key, kept)
            if isinstance(recalled, Unclear):
                return Acted(
                    how="human", says=f"after a crash it is unclear whether this was done: {recalled.because}"
                )
            if isinstance(recalled, Receipt):
                self._note(remediation_id, Kind.RECEIPT, place, recalled)
                return Acted(how="done", says=recalled.says)
        else:
            self._note(remediation_id, Kind.INTENT, place, step)
        self._reach(Point.INTENT_STORED, plan.strategy)
        try:
            receipt = strategy.execute(plan, step, key, kept)
        except RetryLater as later:
            if attempt >= MOST_RETRIES:
                return Acted(how="failed", says=f"{later.says}, {attempt} times")
            return Acted(how="later", says=later.says, after=later.after.total_seconds())
        except NeedsHuman as need:
            return Acted(how="human", says=need.says)
        except Exception as error:
            return Acted(how="human", says=self._defect("execute", remediation_id, part, error))
        self._reach(Point.ACTED, plan.strategy)
        self._note(remediation_id, Kind.RECEIPT, place, receipt)
        self._reach(Point.RECEIPT_STORED, plan.strategy)
        return Acted(how="done", says=receipt.says)

    def check(self, remediation_id: str, index: int, look: int, nth: int = 0) -> Looked:
        """One look at the incident's own signal."""
        part = self._part(remediation_id, nth)
        looked: Verified | Pending | Disproved | HandedOver
        try:
            looked = self._strategy(part).verify(part.plan, self._receipts(remediation_id, part))
        except Exception as error:
            looked = Pending(says=self._defect("verify", remediation_id, part, error))
        hows = {
            Verified: "verified",
            Pending: "pending",
            Disproved: "disproved",
            HandedOver: Ended.HANDED_OVER.value,
        }
        how = hows[type(looked)]
        result = Looked(how=how, says=looked.says)
        if how != "pending":
            self._note(remediation_id, Kind.CHECK, part.first + index, result, look)
        self._reach(Point.CHECKED, part.plan.strategy)
        return result

    def undo(self, remediation_id: str, nth: int = 0) -> Acted:
        """Puts back what the receipts and an open intent say may have been done."""
        part = self._part(remediation_id, nth)
        with self._database.reading() as session:
            before = store.journal(session, remediation_id, Kind.UNDO)
        for entry in before:
            if entry.step == nth:
                return Acted.model_validate_json(entry.body)
        kept, receipts = self._kept(remediation_id, part), self._receipts(remediation_id, part)
        # An intent may have had its effect although no receipt tells of it.
        for place in self._intents(remediation_id, part):
            index = place - part.first
            if not any(receipt.step == index for receipt in receipts):
                key = derived_id("key", remediation_id, str(place))
                recalled = self._recall(remediation_id, part, part.plan.steps[index], key, kept)
                if isinstance(recalled, Receipt):
                    receipts.append(recalled)
        undone: Undone | CannotUndo
        try:
            undone = self._strategy(part).rollback(part.plan, kept, receipts)
        except Exception as error:
            undone = CannotUndo(because=self._defect("rollback", remediation_id, part, error))
        self._reach(Point.UNDONE, part.plan.strategy)
        if isinstance(undone, CannotUndo):
            result = Acted(how="failed", says=undone.because)
        else:
            result = Acted(how="done", says=undone.says)
        self._note(remediation_id, Kind.UNDO, nth, result)
        self._reach(Point.UNDO_STORED, part.plan.strategy)
        return result

    def touched(self, remediation_id: str, nth: int = 0) -> bool:
        """Whether this part may have done anything: an intent was stored."""
        return bool(self._intents(remediation_id, self._part(remediation_id, nth)))

    def standing(self, remediation_id: str) -> list[int]:
        """The parts whose work was not taken back, in order."""
        with self._database.reading() as session:
            return undo.standing(self.load(remediation_id).plan, store.journal(session, remediation_id))

    def sweep_backups(self, within: timedelta) -> None:
        """Removes the backups of repairs that ended longer ago; a repair under way keeps its own."""
        before = self._clock.now() - within
        for folder in self._backups.iterdir() if self._backups.exists() else ():
            with self._database.reading() as session:
                outcome = store.outcome(session, folder.name)
                asked = undo.find(session, folder.name)
            if outcome is not None and outcome.at <= before and (asked is None or asked.done is not None):
                shutil.rmtree(folder, ignore_errors=True)
                log(__name__).info("backups.removed", remediation_id=folder.name)

    def end(
        self,
        remediation_id: str,
        ended: Ended,
        says: str,
        undone: str,
        actions: tuple[ActionEnd, ...] = (),
    ) -> Outcome:
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
            actions=actions,
        )
        with self._database.writing() as session:
            store.end(session, outcome)
            session.flush()
            stored = store.outcome(session, remediation_id)
        self._reach(Point.ENDED, remediation.strategy)
        assert stored is not None
        return stored

    def _recall(
        self, remediation_id: str, part: Part, step: Step, key: str, kept: Snapshot
    ) -> Receipt | NotDone | Unclear:
        try:
            return self._strategy(part).recall(part.plan, step, key, kept)
        except Exception as error:
            return Unclear(because=self._defect("recall", remediation_id, part, error))

    def _defect(self, where: str, remediation_id: str, part: Part, error: Exception) -> str:
        """A strategy raised what it may not: logged as our defect, said in one line."""
        log(__name__).error(
            "strategy.failed",
            strategy=part.plan.strategy,
            where=where,
            remediation_id=remediation_id,
            exc_info=error,
        )
        return f"{where} failed: {type(error).__name__}: {error}"[:500]

    def _kept(self, remediation_id: str, part: Part) -> Snapshot:
        with self._database.reading() as session:
            entries = store.journal(session, remediation_id, Kind.SNAPSHOT)
        kept = [Snapshot.model_validate_json(entry.body) for entry in entries if entry.step == part.nth]
        return kept[0] if kept else Snapshot()

    def _receipts(self, remediation_id: str, part: Part) -> list[Receipt]:
        with self._database.reading() as session:
            entries = store.journal(session, remediation_id, Kind.RECEIPT)
        return [Receipt.model_validate_json(entry.body) for entry in entries if part.holds(entry.step)]

    def _intents(self, remediation_id: str, part: Part) -> list[int]:
        with self._database.reading() as session:
            entries = store.journal(session, remediation_id, Kind.INTENT)
        return [entry.step for entry in entries if part.holds(entry.step)]

    def _note(self, remediation_id: str, kind: Kind, step: int, told: Record, nth: int = 0) -> None:
        with self._database.writing() as session:
            store.note(session, remediation_id, kind, step, self._clock.now(), told.model_dump_json(), nth)
