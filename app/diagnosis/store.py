"""Queries on diagnoses. Each takes a session and commits nothing."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from app.db.bulk import add_once
from app.diagnosis.diagnosis import Diagnosis
from app.diagnosis.tables import CitationRow, DiagnosisRow
from app.foundation.errors import NotFound


def add(session: Session, diagnosis: Diagnosis) -> None:
    """Stores a diagnosis; the same id again is the same diagnosis (a step that ran twice)."""
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
    row = session.get(DiagnosisRow, diagnosis_id)
    if row is None:
        raise NotFound(f"there is no diagnosis {diagnosis_id}")
    return Diagnosis.model_validate_json(row.body)


def of_incident(session: Session, incident_id: str) -> list[Diagnosis]:
    """All diagnoses of an incident in time order."""
    rows = session.exec(
        select(DiagnosisRow).where(DiagnosisRow.incident_id == incident_id).order_by(col(DiagnosisRow.at))
    ).all()
    return [Diagnosis.model_validate_json(row.body) for row in rows]


def latest(session: Session, incident_ids: Sequence[str]) -> dict[str, tuple[str, float]]:
    """(type, confidence) of the newest diagnosis of each incident that has one."""
    rows = session.exec(
        select(DiagnosisRow.incident_id, DiagnosisRow.type, DiagnosisRow.confidence)
        .where(col(DiagnosisRow.incident_id).in_(incident_ids))
        .order_by(col(DiagnosisRow.at))
    ).all()
    return {incident_id: (type_, confidence) for incident_id, type_, confidence in rows}
