"""Overdue: a right that is still granted after its time is taken back, whatever became of the repair.

The repair itself takes it back, the durable engine resumes a repair that a crash cut off, and the far side was
told when the grant ends. This is for what is left then: a repair that got stuck, or an engine that is gone.
A grant may be an action of a playbook: each try of each action is looked at for itself.
"""

from collections.abc import Sequence
from datetime import datetime

from app.db.engine import Database
from app.foundation.clock import Clock
from app.foundation.logging import log
from app.remediation import store
from app.remediation.acts import Acted
from app.remediation.parts import Part, parts
from app.remediation.store import Entry, Kind
from app.remediation.strategies.restart_with_elevated_permissions import (
    GRANT,
    REVOKE,
    RestartWithElevatedPermissions,
)
from app.remediation.strategy import Snapshot, Strategies, Undone


def take_back(database: Database, clock: Clock, strategies: Strategies) -> list[str]:
    """Takes back what the journal says may be granted past its time; the ids of those repairs.

    What cannot be taken back now is logged and found again the next time.
    """
    strategy = strategies.get(RestartWithElevatedPermissions.id)
    if strategy is None:
        return []
    now = clock.now()
    with database.reading() as session:
        left = [
            (remediation, part, entries)
            for remediation in store.left_open(session, strategy.id)
            for entries in [store.journal(session, remediation.id)]
            for part in parts(remediation.plan)
            if part.plan.strategy == strategy.id and _granted(part, entries)
        ]
    taken = []
    for remediation, part, entries in left:
        (kept,) = (one.body for one in entries if one.kind is Kind.SNAPSHOT and one.step == part.nth)
        snapshot = Snapshot.model_validate_json(kept)
        if now < datetime.fromisoformat(snapshot.data["until"]):
            continue
        undone = strategy.rollback(part.plan, snapshot, [])
        if isinstance(undone, Undone):
            says = f"{undone.says}, for its time was over"
            # The place after an undoing that failed; else the repair's own, where two tell of it once.
            nth = sum(one.kind is Kind.UNDO and one.step == part.nth for one in entries)
            with database.writing() as session:
                told = Acted(how="done", says=says).model_dump_json()
                store.note(session, remediation.id, Kind.UNDO, part.nth, now, told, nth)
            taken.append(remediation.id)
            log(__name__).warning("grant.overdue", remediation_id=remediation.id, says=says)
        else:
            log(__name__).error("grant.not_revoked", remediation_id=remediation.id, says=undone.because)
    return list(dict.fromkeys(taken))


def _granted(part: Part, entries: Sequence[Entry]) -> bool:
    """Whether the grant was begun, and neither taken back by its own step nor undone."""
    told = {(one.kind, one.step) for one in entries}
    undone = any(
        one.kind is Kind.UNDO and one.step == part.nth and Acted.model_validate_json(one.body).how == "done"
        for one in entries
    )
    begun = (Kind.INTENT, part.first + GRANT) in told
    return begun and (Kind.RECEIPT, part.first + REVOKE) not in told and not undone
