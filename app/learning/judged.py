"""Judged: diagnoses of which it is known by now whether their type was right."""

from sqlmodel import Session, col, select

from app.decision.guarantee import Judged
from app.decision.tables import DecisionRow
from app.diagnosis.tables import DiagnosisRow
from app.learning.tables import LabelRow
from app.remediation.outcome import Ended
from app.remediation.tables import OutcomeRow, RemediationRow, UndoRow


def judged(session: Session) -> list[Judged]:
    """By a person's word on the incident, else by a repair for the type that was verified.

    A repair that did not help, or that a person had undone, says nothing of the type.
    """
    verified = session.exec(
        select(DiagnosisRow.id, DiagnosisRow.confidence)
        .join(DecisionRow, col(DecisionRow.diagnosis_id) == DiagnosisRow.id)
        .join(RemediationRow, col(RemediationRow.decision_id) == DecisionRow.id)
        .join(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
        .outerjoin(UndoRow, col(UndoRow.remediation_id) == OutcomeRow.remediation_id)
        .where(OutcomeRow.ended == Ended.VERIFIED.value)
        .where(col(UndoRow.remediation_id).is_(None))
    ).all()
    found = {id_: Judged(confidence=confidence, right=True) for id_, confidence in verified}
    labelled = session.exec(
        select(LabelRow, DiagnosisRow.id, DiagnosisRow.type, DiagnosisRow.confidence)
        .join(DiagnosisRow, col(DiagnosisRow.incident_id) == LabelRow.incident_id)
        .where(col(DiagnosisRow.at) <= col(LabelRow.at))
        .order_by(col(LabelRow.at), col(LabelRow.id), col(DiagnosisRow.at))
    ).all()
    # A label speaks of the newest diagnosis that the person could see.
    newest = {label.id: (label.type, id_, type_, confidence) for label, id_, type_, confidence in labelled}
    for said, id_, type_, confidence in newest.values():
        found[id_] = Judged(confidence=confidence, right=said == type_)
    return list(found.values())
