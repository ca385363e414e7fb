"""Queries on diagnoses. Each takes a session and commits nothing."""

from collections.abc import Sequence

from sqlalchemy import bindparam, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from app.db import read
from app.db.bulk import add_once
from app.diagnosis.diagnosis import Diagnosis
from app.diagnosis.tables import CitationRow, DiagnosisRow
from app.foundation.errors import NotFound
from app.incidents.tables import IncidentRow

_NEWEST_TYPE = (
    select(DiagnosisRow.type)
    .where(col(DiagnosisRow.incident_id) == bindparam("incident"))
    .order_by(col(DiagnosisRow.at).desc())
    .limit(1)
)
_TYPE_OF_NEWEST = (
    update(IncidentRow)
    .where(col(IncidentRow.id) == bindparam("incident"))
    .values(type=_NEWEST_TYPE.scalar_subquery())
)
_OF_INCIDENT = (
    columns(col(DiagnosisRow.body))
    .where(col(DiagnosisRow.incident_id) == bindparam("incident"))
    .order_by(col(DiagnosisRow.at))
)


def add(session: Session, diagnosis: Diagnosis) -> None:
    """Stores a diagnosis, whose type the incident then has; the same id again is the same (a step that ran twice)."""
    add_once(
        session,
        DiagnosisRow(
            id=diagnosis.id,
            incident_id=diagnosis.incident_id,
            episode=diagnosis.episode,
            at=diagnosis.at,
            type=diagnosis.type,
            confidence=diagnosis.confidence,
            body=diagnosis.model_dump_json(),
        ),
    )
    for runbook, (section, strategy) in _cited(diagnosis).items():
        add_once(
            session,
            CitationRow(
                diagnosis_id=diagnosis.id,
                runbook=runbook,
                section=section,
                strategy=strategy,
                incident_id=diagnosis.incident_id,
                at=diagnosis.at,
            ),
        )
    session.connection().execute(_TYPE_OF_NEWEST, {"incident": diagnosis.incident_id})


def _cited(diagnosis: Diagnosis) -> dict[str, tuple[str, str]]:
    """By runbook the section that is cited, and the strategy that is weighed on its word."""
    refs = [(diagnosis.runbook, "")] + [(choice.runbook, choice.strategy) for choice in diagnosis.choices]
    found: dict[str, tuple[str, str]] = {}
    for ref, strategy in refs:
        runbook, _, section = ref.partition("#")
        if runbook:
            found[runbook] = (section, strategy)
    return found


def get(session: Session, diagnosis_id: str) -> Diagnosis:
    """The diagnosis; raises NotFound."""
    found = find(session, diagnosis_id)
    if found is None:
        raise NotFound(f"there is no diagnosis {diagnosis_id}")
    return found


def find(session: Session, diagnosis_id: str) -> Diagnosis | None:
    """The diagnosis; None when it was not made yet."""
    row = read.row(session, DiagnosisRow, diagnosis_id)
    return Diagnosis.model_validate_json(row.body) if row else None


def of_incident(session: Session, incident_id: str) -> list[Diagnosis]:
    """All diagnoses of an incident in time order."""
    rows = read.rows(session, _OF_INCIDENT, incident=incident_id)
    return [Diagnosis.model_validate_json(row.body) for row in rows]


def latest(session: Session, incident_ids: Sequence[str]) -> dict[str, tuple[str, float]]:
    """(type, confidence) of the newest diagnosis of each incident that has one."""
    if not incident_ids:
        return {}
    rows = session.exec(
        select(DiagnosisRow.incident_id, DiagnosisRow.type, DiagnosisRow.confidence)
        .where(col(DiagnosisRow.incident_id).in_(incident_ids))
        .order_by(col(DiagnosisRow.at))
    ).all()
    return {incident_id: (type_, confidence) for incident_id, type_, confidence in rows}
