"""Acts: the steps of a repair, each of which touches the world or our tables.

The durable engine records what they gave only where a repair sleeps or ends. After a crash those since then run
again, all of them and in their order: so each finds in the journal what it did, also when later ones have run
since. None holds a session while it acts.
"""

import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
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
from app.remediation.store import Entry, Kind
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
_MOST_LOADED = 256
_TAKEN_BACK = "it was undone"


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


class _Journal:
    """What the journal tells of one part.

    Of its snapshot and its undoing, None before it was. `intents` are places; `receipts` in time order; `failures`
    by place why a step was not done.
    """

    def __init__(self, entries: Sequence[Entry], part: Part) -> None:
        self.snapshot: Snapshot | None = None
        self.undone: Acted | None = None
        self.intents: list[int] = []
        self.receipts: list[Receipt] = []
        self.failures: dict[int, Acted] = {}
        for entry in entries:
            if entry.kind is Kind.SNAPSHOT and entry.step == part.nth:
                self.snapshot = Snapshot.model_validate_json(entry.body)
            elif entry.kind is Kind.UNDO and entry.step == part.nth:
                self.undone = Acted.model_validate_json(entry.body)
            elif part.holds(entry.step):
                if entry.kind is Kind.INTENT:
                    self.intents.append(entry.step)
                elif entry.kind is Kind.RECEIPT:
                    self.receipts.append(Receipt.model_validate_json(entry.body))
                elif entry.kind is Kind.FAILED:
                    self.failures[entry.step] = Acted.model_validate_json(entry.body)

    @property
    def kept(self) -> Snapshot:
        """The snapshot, an empty one where nothing was to be kept."""
        return self.snapshot or Snapshot()


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

        # As a repair was begun it stays: each of its steps asks for it.
        self.load = lru_cache(_MOST_LOADED)(self._load)

    def _load(self, remediation_id: str) -> store.Remediation:
        """The remediation as it was begun."""
        with self._database.reading() as session:
            return store.get(session, remediation_id)

    def _journal(self, remediation_id: str, part: Part) -> "_Journal":
        with self._database.reading() as session:
            return _Journal(store.journal(session, remediation_id), part)

    def _part(self, remediation_id: str, nth: int) -> Part:
        return parts(self.load(remediation_id).plan)[nth]

    def _strategy(self, part: Part) -> Strategy:
        return self._strategies[part.plan.strategy]

    def snapshot(self, remediation_id: str, nth: int = 0) -> Acted:
        """Keeps what undoing this part needs."""
        part = self._part(remediation_id, nth)
        journal = self._journal(remediation_id, part)
        if journal.snapshot:
            return Acted(how="done", says=journal.snapshot.says)
        if part.first in journal.failures:
            return journal.failures[part.first]
        taken = self._snapshot(remediation_id, part)
        if taken.how != "done":
            self._note(remediation_id, Kind.FAILED, part.first, taken)
        return taken

    def _snapshot(self, remediation_id: str, part: Part) -> Acted:
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
        self._note(remediation_id, Kind.SNAPSHOT, part.nth, taken)
        self._reach(Point.SNAPSHOT_STORED, part.plan.strategy)
        return Acted(how="done", says=taken.says)

    def act(self, remediation_id: str, index: int, attempt: int, nth: int = 0) -> Acted:
        """One step in three beats: intent, act, receipt. An intent without a receipt is recalled first.

        One that failed, or that only a person can go on with, stays so.
        """
        part = self._part(remediation_id, nth)
        place = part.first + index
        journal = self._journal(remediation_id, part)
        for receipt in journal.receipts:
            if receipt.step == index:
                return Acted(how="done", says=receipt.says)
        if place in journal.failures:
            return journal.failures[place]
        if journal.undone:
            return Acted(how="human", says=_TAKEN_BACK)
        acted = self._act(remediation_id, part, part.plan.steps[index], attempt, journal)
        if acted.how not in ("done", "later"):
            self._note(remediation_id, Kind.FAILED, place, acted)
        return acted

    def _act(self, remediation_id: str, part: Part, step: Step, attempt: int, journal: "_Journal") -> Acted:
        strategy, plan, kept = self._strategy(part), part.plan, journal.kept
        place = part.first + step.index
        key = derived_id("key", remediation_id, str(place))
        if place in journal.intents:
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
        place = part.first + index
        with self._database.reading() as session:
            journal = _Journal(store.journal(session, remediation_id), part)
            before = store.noted(session, remediation_id, Kind.CHECK, place, look)
        if before:
            return Looked.model_validate_json(before)
        if journal.undone:
            return Looked(how="disproved", says=_TAKEN_BACK)
        looked: Verified | Pending | Disproved | HandedOver
        try:
            looked = self._strategy(part).verify(part.plan, journal.receipts)
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
            self._note(remediation_id, Kind.CHECK, place, result, look)
        self._reach(Point.CHECKED, part.plan.strategy)
        return result

    def undo(self, remediation_id: str, nth: int = 0) -> Acted:
        """Puts back what the receipts and an open intent say may have been done."""
        part = self._part(remediation_id, nth)
        journal = self._journal(remediation_id, part)
        if journal.undone:
            return journal.undone
        kept, receipts = journal.kept, list(journal.receipts)
        # An intent may have had its effect although no receipt tells of it.
        for place in journal.intents:
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
        return bool(self._journal(remediation_id, self._part(remediation_id, nth)).intents)

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

    def _note(self, remediation_id: str, kind: Kind, step: int, told: Record, nth: int = 0) -> None:
        with self._database.writing() as session:
            store.note(session, remediation_id, kind, step, self._clock.now(), told.model_dump_json(), nth)
