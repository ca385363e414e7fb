"""Marks: a short text per page that changes when what the page shows does, so that it can be asked for cheaply."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, SQLModel, col

from app.decision.tables import DecisionRow, PauseRow
from app.diagnosis.tables import DiagnosisRow, LabelRow
from app.foundation.ids import derived_id
from app.incidents.tables import IncidentRow, TransitionRow
from app.remediation.tables import (
    ApprovalRow,
    ApprovalYesRow,
    JournalRow,
    OutcomeRow,
    RemediationRow,
    UndoRow,
)

INCIDENTS, APPROVALS = "incidents", "approvals"
_OF_INCIDENT: tuple[type[SQLModel], ...] = (
    TransitionRow,
    DiagnosisRow,
    DecisionRow,
    LabelRow,
    RemediationRow,
    OutcomeRow,
)
_OF_REPAIR: tuple[type[SQLModel], ...] = (JournalRow, UndoRow)


def marks(session: Session, pages: Iterable[str]) -> dict[str, str]:
    """The mark of each page: INCIDENTS, APPROVALS or an incident's id. One that does not exist has one too."""
    wanted = set(pages)
    told = [*_EVERYWHERE, *(_LIST if INCIDENTS in wanted else ())]
    found = tuple(session.execute(select(*told)).one())
    everywhere, seen = found[: len(_EVERYWHERE)], {INCIDENTS: found[len(_EVERYWHERE) :]}
    if ids := wanted - {INCIDENTS, APPROVALS}:
        seen |= {row[0]: tuple(row) for row in session.execute(_incidents(ids))}
    return {page: derived_id("mark", str(everywhere), str(seen.get(page))) for page in wanted}


def _only(what: Any, table: type[SQLModel], where: Any = None) -> Any:
    query = select(what).select_from(table)
    return (query if where is None else query.where(where)).scalar_subquery()


# What the header of every page shows, and what the list does.
_EVERYWHERE = (
    _only(func.max(col(PauseRow.id)), PauseRow),
    _only(func.count(), ApprovalRow, col(ApprovalRow.waiting)),
    _only(func.max(col(ApprovalRow.asked_at)), ApprovalRow, col(ApprovalRow.waiting)),
    _only(func.count(), ApprovalYesRow),
)
_LIST = (
    _only(func.max(col(IncidentRow.last_seen)), IncidentRow),
    _only(func.max(col(TransitionRow.id)), TransitionRow),
    _only(func.max(col(DiagnosisRow.at)), DiagnosisRow),
)


def _incidents(ids: Iterable[str]) -> Any:
    """One row for each: how many of everything there are, by the indexes that the trail is read by."""
    counts = [_only(func.count(), t, col(t.incident_id) == IncidentRow.id) for t in _OF_INCIDENT]  # type: ignore[attr-defined]
    for table in _OF_REPAIR:
        of = select(col(RemediationRow.id)).where(col(RemediationRow.incident_id) == IncidentRow.id)
        counts.append(_only(func.count(), table, col(table.remediation_id).in_(of)))  # type: ignore[attr-defined]
    repairs = select(col(RemediationRow.id)).where(col(RemediationRow.incident_id) == IncidentRow.id)
    still = col(UndoRow.remediation_id).in_(repairs) & col(UndoRow.waiting)
    seen = col(IncidentRow.id), col(IncidentRow.last_seen), col(IncidentRow.events)
    return select(*seen, _only(func.count(), UndoRow, still), *counts).where(col(IncidentRow.id).in_(ids))
