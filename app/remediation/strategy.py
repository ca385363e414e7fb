"""The port that every strategy implements, its answers, and the two errors it may raise."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from app.decision.plan import Plan, Risk, Step
from app.foundation.record import Record
from app.systems.targets import RegisteredTarget, Targets


class Subject(Record):
    """What a strategy may know of the incident: ids and the registered target, no free text but the run's id.

    `since` is when its first event came.
    """

    incident_id: str
    type: str
    run_id: str = ""
    since: datetime | None = None
    target: RegisteredTarget | None = None


class NotApplicable(Record):
    """This strategy cannot help here; `because` is shown to people."""

    because: str


class Snapshot(Record):
    """What is needed to put things back: plain data, and the backup files it refers to."""

    data: dict[str, Any] = {}
    says: str = "nothing to keep"


class Receipt(Record):
    """What one step did: `data` for verify and rollback, `says` for people."""

    step: int
    data: dict[str, Any] = {}
    says: str


class NotDone(Record):
    """Recall's answer: this step had no effect yet; it is safe to execute."""


class Unclear(Record):
    """Recall's answer: nobody can tell whether the step took effect; a person must look."""

    because: str


class Verified(Record):
    """The incident's own signal recovered."""

    says: str


class Pending(Record):
    """Not yet; ask again."""

    says: str


class Disproved(Record):
    """It did not help."""

    says: str


class HandedOver(Record):
    """Our part is done and stands; whether it helps is up to a person, so the incident stays open."""

    says: str


class Undone(Record):
    """Everything is as the snapshot has it."""

    says: str


class CannotUndo(Record):
    """Something could not be taken back; a person must."""

    because: str


class RetryLater(Exception):
    """Nothing happened, and trying again after `after` may work."""

    def __init__(self, says: str, after: timedelta) -> None:
        super().__init__(says)
        self.says = says
        self.after = after


class NeedsHuman(Exception):
    """Nothing more happens without a person; `says` tells why."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


ParamsT = TypeVar("ParamsT", bound=Record)
ConnectionT = TypeVar("ConnectionT", bound=Record)


def mark(connection: Record) -> str:
    """Sixteen hex characters for a registered connection, secrets left out; each step's `does` carries it."""
    return hashlib.sha256(connection.model_dump_json().encode()).hexdigest()[:16]


def connection_of(targets: Targets, plan: Plan, kind: type[ConnectionT]) -> ConnectionT:
    """How the plan's target is reached: from the register, because a plan holds no secrets.

    Raises NeedsHuman when the target is gone, or no longer the one that was planned for.
    """
    target = targets.find(plan.target)
    connection = None if target is None else target.connection
    if not isinstance(connection, kind):
        raise NeedsHuman(f"{plan.target} is no longer registered as a {kind.__name__}")
    if mark(connection) != plan.steps[0].does["connection"]:
        raise NeedsHuman(f"the registration of {plan.target} changed since the plan was made")
    return connection


class Strategy(Protocol):
    """One way of repairing. Synchronous; may be called from any thread; keeps no state between calls.

    It is made with the register of targets, where it finds what a plan must not hold.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    risk: ClassVar[Risk]
    Params: ClassVar[type[Record]]

    def __init__(self, targets: Targets) -> None: ...

    def plan(self, subject: Subject, params: Any) -> Plan | NotApplicable:
        """What would happen. May look at the target, changes nothing; the same state gives the same plan."""
        ...

    def snapshot(self, plan: Plan, keep: Path) -> Snapshot:
        """Keeps what rollback needs; files go into the folder `keep`. Repeatable. Raises NeedsHuman."""
        ...

    def execute(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt:
        """Does one step. `key` is the same at every try of this step: hand it to the far side.

        Raises RetryLater when nothing happened and NeedsHuman when nothing should.
        """
        ...

    def recall(self, plan: Plan, step: Step, key: str, snapshot: Snapshot) -> Receipt | NotDone | Unclear:
        """After a crash between act and receipt: did the step with this key take effect?"""
        ...

    def verify(self, plan: Plan, receipts: Sequence[Receipt]) -> Verified | Pending | Disproved | HandedOver:
        """Whether the incident's own signal recovered. Changes nothing."""
        ...

    def rollback(self, plan: Plan, snapshot: Snapshot, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
        """Puts back what the receipts say was done. Repeatable: undone twice is undone."""
        ...


Strategies = Mapping[str, Strategy]
