"""Queries on decisions and pauses. Each takes a session and commits nothing."""

from datetime import datetime

from sqlmodel import Session, col, select

from app.db.bulk import add_once
from app.decision.decision import Decision
from app.decision.tables import DecisionRow, PauseRow
from app.foundation.errors import NotFound


def add(session: Session, decision: Decision) -> None:
    """Stores the decision; where its id is known already (a step that ran twice), the first stands."""
    add_once(
        session,
        DecisionRow(
            id=decision.id,
            incident_id=decision.incident_id,
            episode=decision.episode,
            diagnosis_id=decision.diagnosis_id,
            at=decision.at,
            effect=decision.effect.value,
            strategy=decision.strategy,
            body=decision.model_dump_json(),
        ),
    )


def find(session: Session, decision_id: str) -> Decision | None:
    """The decision; None when it was not made yet."""
    row = session.get(DecisionRow, decision_id)
    return Decision.model_validate_json(row.body) if row else None


def get(session: Session, decision_id: str) -> Decision:
    """The decision; raises NotFound."""
    decision = find(session, decision_id)
    if decision is None:
        raise NotFound(f"there is no decision {decision_id}")
    return decision


def of_incident(session: Session, incident_id: str) -> list[Decision]:
    """All decisions on an incident in time order."""
    rows = session.exec(
        select(DecisionRow)
        .where(DecisionRow.incident_id == incident_id)
        .order_by(col(DecisionRow.at), col(DecisionRow.id))
    ).all()
    return [Decision.model_validate_json(row.body) for row in rows]


def pause(session: Session, *, actor: str, reason: str, at: datetime) -> None:
    """Holds all repairs back from now on; said again, the newest reason counts."""
    session.add(PauseRow(at=at, actor=actor, paused=True, reason=reason))


def resume(session: Session, *, actor: str, reason: str, at: datetime) -> None:
    """Lets repairs go on."""
    session.add(PauseRow(at=at, actor=actor, paused=False, reason=reason))


def current(session: Session) -> str:
    """`paused by X: reason` while paused, else empty; what a situation carries as `paused`."""
    row = session.exec(select(PauseRow).order_by(col(PauseRow.id).desc()).limit(1)).first()
    if row is None or not row.paused:
        return ""
    return f"paused by {row.actor}: {row.reason}" if row.reason else f"paused by {row.actor}"
