"""Citations: what became of the advice of each runbook: cited, used, verified, undone."""

from datetime import datetime

from sqlmodel import Session, col, func, select

from app.decision.tables import DecisionRow
from app.diagnosis.choose import ESCALATE
from app.diagnosis.tables import CitationRow
from app.foundation.record import Record
from app.incidents.tables import IncidentRow
from app.remediation.outcome import Ended
from app.remediation.tables import OutcomeRow, RemediationRow, UndoRow


class RunbookRecord(Record):
    """`cited` counts incidents, the others repairs with the strategy that the runbook recommended for them.

    `used` were begun. `verified` ones helped and stand; `undone` ones were taken back, by themselves or by a
    person; the rest are under way, or ended with a person.
    """

    cited: int = 0
    used: int = 0
    verified: int = 0
    undone: int = 0


class CitedBy(Record):
    """An incident whose newest diagnosis of all that cite the runbook cites this section."""

    incident_id: str
    title: str
    state: str
    section: str
    at: datetime


def runbook_records(session: Session) -> dict[str, RunbookRecord]:
    """By runbook, of all that were ever cited. Reads every repair, so it is not for each request."""
    cited = select(CitationRow.runbook, func.count(func.distinct(CitationRow.incident_id)))
    undone = col(UndoRow.remediation_id).is_not(None)
    ended = (
        select(CitationRow.runbook, OutcomeRow.ended, undone, func.count())
        .join(DecisionRow, col(DecisionRow.diagnosis_id) == CitationRow.diagnosis_id)
        .join(RemediationRow, col(RemediationRow.decision_id) == DecisionRow.id)
        .outerjoin(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
        .outerjoin(UndoRow, col(UndoRow.remediation_id) == RemediationRow.id)
        .where(col(RemediationRow.strategy) == CitationRow.strategy)
        .where(col(RemediationRow.strategy) != ESCALATE)
        .group_by(CitationRow.runbook, OutcomeRow.ended, undone)
    )
    rows = session.exec(cited.group_by(CitationRow.runbook)).all()
    found = {runbook: RunbookRecord(cited=count) for runbook, count in rows}
    for runbook, end, by_person, count in session.exec(ended).all():
        was = found[runbook]
        taken_back = by_person or end == Ended.UNDONE
        found[runbook] = was.model_copy(
            update={
                "used": was.used + count,
                "verified": was.verified + (count if end == Ended.VERIFIED and not taken_back else 0),
                "undone": was.undone + (count if taken_back else 0),
            }
        )
    return found


def cited_by(session: Session, runbook_id: str, most: int = 10) -> list[CitedBy]:
    """The incidents that cited the runbook last, newest first."""
    rows = session.exec(
        select(CitationRow, IncidentRow.title, IncidentRow.state)
        .join(IncidentRow, col(IncidentRow.id) == CitationRow.incident_id)
        .where(CitationRow.runbook == runbook_id)
        .order_by(col(CitationRow.at).desc())
        .limit(most * 3)
    ).all()
    found: dict[str, CitedBy] = {}
    for row, title, state in rows:
        one = CitedBy(incident_id=row.incident_id, title=title, state=state, section=row.section, at=row.at)
        found.setdefault(row.incident_id, one)
    return list(found.values())[:most]
