"""Overdue: a right that is still granted after its time is taken back, whatever became of the repair.

The repair itself takes it back, the durable engine resumes a repair that a crash cut off, and the far side was
told when the grant ends. This is for what is left then: a repair that got stuck, or an engine that is gone.
"""

from datetime import datetime

from app.db.engine import Database
from app.foundation.clock import Clock
from app.foundation.logging import log
from app.remediation import store
from app.remediation.acts import Acted
from app.remediation.store import Kind
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
        left = store.left_open(session, strategy.id, first=GRANT, last=REVOKE)
        kept = {one.id: store.journal(session, one.id, Kind.SNAPSHOT)[0].body for one in left}
    taken = []
    for remediation in left:
        snapshot = Snapshot.model_validate_json(kept[remediation.id])
        if now < datetime.fromisoformat(snapshot.data["until"]):
            continue
        undone = strategy.rollback(remediation.plan, snapshot, [])
        if isinstance(undone, Undone):
            says = f"{undone.says}, for its time was over"
            with database.writing() as session:
                told = Acted(how="done", says=says).model_dump_json()
                store.note(session, remediation.id, Kind.UNDO, 0, now, told, nth=1)
            taken.append(remediation.id)
            log(__name__).warning("grant.overdue", remediation_id=remediation.id, says=says)
        else:
            log(__name__).error("grant.not_revoked", remediation_id=remediation.id, says=undone.because)
    return taken
