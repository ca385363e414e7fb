"""Queries on remediations, their journal and outcomes. Each takes a session and commits nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import TypeAdapter
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from app.decision.decision import Attempt
from app.decision.guarantee import Judged
from app.decision.plan import Plan
from app.decision.tables import DecisionRow
from app.diagnosis.choose import TrackRecord
from app.diagnosis.tables import DiagnosisRow
from app.foundation.errors import NotFound
from app.foundation.ids import derived_id
from app.foundation.record import Record
from app.remediation.outcome import ActionEnd, Ended, Outcome
from app.remediation.tables import HeldRow, JournalRow, OutcomeRow, RemediationRow, UndoRow

# Ends that say something of the strategy itself; a repair that was stopped does not.
_TRIALS = (Ended.VERIFIED, Ended.UNDONE, Ended.STUCK)
_ACTIONS: TypeAdapter[tuple[ActionEnd, ...]] = TypeAdapter(tuple[ActionEnd, ...])


class Kind(StrEnum):
    SNAPSHOT = "snapshot"
    INTENT = "intent"
    RECEIPT = "receipt"
    CHECK = "check"
    UNDO = "undo"
    ASKED = "asked"


class Entry(Record):
    """One line of a repair's journal; `body` is the JSON of what it tells."""

    kind: Kind
    step: int
    at: datetime
    body: str


class Remediation(Record):
    """One repair that was begun."""

    id: str
    incident_id: str
    decision_id: str
    approved_by: str
    strategy: str
    target: str
    started_at: datetime
    plan: Plan


def begin(session: Session, remediation: Remediation) -> None:
    """Stores the beginning; beginning twice is once."""
    if session.get(RemediationRow, remediation.id) is None:
        session.add(
            RemediationRow(
                **remediation.model_dump(exclude={"plan"}), plan=remediation.plan.model_dump_json()
            )
        )


def _remediation(row: RemediationRow) -> Remediation:
    return Remediation(
        id=row.id,
        incident_id=row.incident_id,
        decision_id=row.decision_id,
        approved_by=row.approved_by,
        strategy=row.strategy,
        target=row.target,
        started_at=row.started_at,
        plan=Plan.model_validate_json(row.plan),
    )


def get(session: Session, remediation_id: str) -> Remediation:
    """The remediation; raises NotFound."""
    row = session.get(RemediationRow, remediation_id)
    if row is None:
        raise NotFound(f"there is no remediation {remediation_id}")
    return _remediation(row)


def of_incident(session: Session, incident_id: str) -> list[Remediation]:
    """All remediations of an incident in time order."""
    rows = session.exec(
        select(RemediationRow)
        .where(RemediationRow.incident_id == incident_id)
        .order_by(col(RemediationRow.started_at))
    ).all()
    return [_remediation(row) for row in rows]


def note(
    session: Session, remediation_id: str, kind: Kind, step: int, at: datetime, body: str, nth: int = 0
) -> None:
    """Appends to the journal; the same entry again (a step that ran twice) changes nothing."""
    entry_id = derived_id("jrn", remediation_id, kind, str(step), str(nth))
    if session.get(JournalRow, entry_id) is None:
        session.add(
            JournalRow(
                id=entry_id, remediation_id=remediation_id, kind=kind.value, step=step, at=at, body=body
            )
        )


def journal(session: Session, remediation_id: str, kind: Kind | None = None) -> list[Entry]:
    """The journal in time order, whole or of one kind."""
    query = select(JournalRow).where(JournalRow.remediation_id == remediation_id)
    if kind is not None:
        query = query.where(JournalRow.kind == kind.value)
    rows = session.exec(query.order_by(col(JournalRow.at), col(JournalRow.step))).all()
    return [Entry(kind=Kind(row.kind), step=row.step, at=row.at, body=row.body) for row in rows]


def end(session: Session, outcome: Outcome) -> None:
    """Stores how it ended; the first end stands."""
    if session.get(OutcomeRow, outcome.remediation_id) is None:
        actions = _ACTIONS.dump_json(outcome.actions).decode()
        session.add(OutcomeRow(**outcome.model_dump(exclude={"actions"}), actions=actions))


def _outcome(row: OutcomeRow) -> Outcome:
    told = {"ended": Ended(row.ended), "actions": _ACTIONS.validate_json(row.actions)}
    return Outcome(**(row.model_dump() | told))


def outcome(session: Session, remediation_id: str) -> Outcome | None:
    """How the remediation ended; None while it is under way."""
    row = session.get(OutcomeRow, remediation_id)
    return _outcome(row) if row else None


def outcomes_of(session: Session, incident_id: str) -> list[Outcome]:
    """All outcomes of an incident in time order."""
    rows = session.exec(
        select(OutcomeRow).where(OutcomeRow.incident_id == incident_id).order_by(col(OutcomeRow.at))
    ).all()
    return [_outcome(row) for row in rows]


def hold(session: Session, by: str, targets: Sequence[str]) -> bool:
    """Holds all of the targets for `by`, or none when another holds one of them. Holding twice is once."""
    held = session.exec(select(HeldRow).where(col(HeldRow.target).in_(targets))).all()
    if any(row.by != by for row in held):
        return False
    session.add_all([HeldRow(target=one, by=by) for one in set(targets) - {row.target for row in held}])
    try:
        session.flush()
    except IntegrityError:
        session.rollback()
        return False
    return True


def release(session: Session, by: str) -> None:
    """Lets go of what `by` holds."""
    session.exec(delete(HeldRow).where(col(HeldRow.by) == by))


def attempts(session: Session, now: datetime, back: timedelta = timedelta(hours=24)) -> tuple[Attempt, ...]:
    """The repairs begun in the last `back`, oldest first, but for escalations, which act on nothing."""
    rows = session.exec(
        select(RemediationRow, OutcomeRow.ended)
        .outerjoin(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
        .where(col(RemediationRow.started_at) > now - back)
        .where(RemediationRow.strategy != "escalate_to_human")
        .order_by(col(RemediationRow.started_at))
    ).all()
    return tuple(
        Attempt(
            remediation_id=row.id,
            incident_id=row.incident_id,
            target=row.target,
            strategy=row.strategy,
            started_at=row.started_at,
            ended=ended,
        )
        for row, ended in rows
    )


def judged(session: Session) -> dict[str, list[Judged]]:
    """By strategy, how sure each repair that was carried through was, and whether it helped.

    One that a person had undone afterwards was a wrong action.
    """
    rows = session.exec(
        select(OutcomeRow.strategy, OutcomeRow.ended, DiagnosisRow.confidence, UndoRow.remediation_id)
        .join(RemediationRow, col(RemediationRow.id) == OutcomeRow.remediation_id)
        .join(DecisionRow, col(DecisionRow.id) == RemediationRow.decision_id)
        .join(DiagnosisRow, col(DiagnosisRow.id) == DecisionRow.diagnosis_id)
        .outerjoin(UndoRow, col(UndoRow.remediation_id) == OutcomeRow.remediation_id)
        .where(col(OutcomeRow.ended).in_([ended.value for ended in _TRIALS]))
    ).all()
    found: dict[str, list[Judged]] = {}
    for strategy, ended, confidence, undone in rows:
        right = Ended(ended) is Ended.VERIFIED and undone is None
        found.setdefault(strategy, []).append(Judged(confidence=confidence, right=right))
    return found


def records(session: Session) -> Mapping[str, TrackRecord]:
    """Verified outcomes by strategy: how many helped, of how many that were tried to the end.

    One that a person had undone afterwards did not help.
    """
    undone = col(UndoRow.remediation_id).is_not(None)
    rows = session.exec(
        select(OutcomeRow.strategy, OutcomeRow.ended, undone, func.count())
        .outerjoin(UndoRow, col(UndoRow.remediation_id) == OutcomeRow.remediation_id)
        .group_by(OutcomeRow.strategy, OutcomeRow.ended, undone)
    ).all()
    found: dict[str, TrackRecord] = {}
    for strategy, ended, taken_back, count in rows:
        if Ended(ended) in _TRIALS:
            before = found.get(strategy, TrackRecord())
            helped = Ended(ended) is Ended.VERIFIED and not taken_back
            found[strategy] = TrackRecord(
                successes=before.successes + (count if helped else 0), trials=before.trials + count
            )
    return found
