"""Judged: diagnoses of which it is known by now whether their type was right."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson
from sqlmodel import Session, col, select

from app.db.engine import Database
from app.decision.guarantee import Judged
from app.decision.tables import DecisionRow
from app.diagnosis.tables import DiagnosisRow, LabelRow
from app.diagnosis.weigh import Heard
from app.foundation.clock import Clock
from app.foundation.record import Record
from app.remediation.outcome import Ended
from app.remediation.tables import OutcomeRow, RemediationRow, UndoRow

# The voices' record is of the newest so many: what a site was like years ago says little.
_NEWEST = 500
_FRESH = timedelta(seconds=10)


class _Known(Record):
    """A diagnosis' type and the `right` one; `at` is when it was made, or a person spoke of it."""

    type: str
    right: str
    confidence: float
    at: datetime


def _known(session: Session) -> dict[str, _Known]:
    """By diagnosis: by a person's word on the incident, else by a repair for the type that was verified.

    A repair that did not help, or that a person had undone, says nothing of the type.
    """
    verified = session.exec(
        select(DiagnosisRow.id, DiagnosisRow.type, DiagnosisRow.confidence, DiagnosisRow.at)
        .join(DecisionRow, col(DecisionRow.diagnosis_id) == DiagnosisRow.id)
        .join(RemediationRow, col(RemediationRow.decision_id) == DecisionRow.id)
        .join(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
        .outerjoin(UndoRow, col(UndoRow.remediation_id) == OutcomeRow.remediation_id)
        .where(OutcomeRow.ended == Ended.VERIFIED.value)
        .where(col(UndoRow.remediation_id).is_(None))
    ).all()
    found = {
        id_: _Known(type=type_, right=type_, confidence=confidence, at=at)
        for id_, type_, confidence, at in verified
    }
    labelled = session.exec(
        select(LabelRow, DiagnosisRow.id, DiagnosisRow.type, DiagnosisRow.confidence)
        .join(DiagnosisRow, col(DiagnosisRow.incident_id) == LabelRow.incident_id)
        .where(col(DiagnosisRow.at) <= col(LabelRow.at))
        .order_by(col(LabelRow.at), col(LabelRow.id), col(DiagnosisRow.at))
    ).all()
    # A label speaks of the newest diagnosis that the person could see.
    newest = {
        label.id: (id_, _Known(type=type_, right=label.type, confidence=confidence, at=label.at))
        for label, id_, type_, confidence in labelled
    }
    found.update(newest.values())
    return found


def judged(session: Session) -> list[Judged]:
    """How sure each of these diagnoses was, and whether it was right."""
    return [
        Judged(confidence=one.confidence, right=one.type == one.right) for one in _known(session).values()
    ]


def heard(session: Session) -> dict[str, Heard]:
    """By scorer, how often it spoke in the newest of these diagnoses and named the right type."""
    known = _known(session)
    newest = sorted(known, key=lambda id_: (known[id_].at, id_))[-_NEWEST:]
    counts: dict[str, list[bool]] = {}
    rows = session.exec(
        select(DiagnosisRow.id, DiagnosisRow.body).where(col(DiagnosisRow.id).in_(newest))
    ).all()
    for id_, body in rows:
        for finding in orjson.loads(body)["findings"]:
            if finding["contributes"] and finding["scores"]:
                said = max(finding["scores"], key=finding["scores"].__getitem__)
                counts.setdefault(finding["scorer"], []).append(said == known[id_].right)
    return {scorer: Heard(right=sum(right), judged=len(right)) for scorer, right in counts.items()}


class HeardHere:
    """The voices' record, read anew when it is ten seconds old: every diagnosis asks for it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at: datetime | None = None
        self._found: Mapping[str, Heard] = {}

    def __call__(self) -> Mapping[str, Heard]:
        """By scorer; the same mapping until it is read anew."""
        now = self._clock.now()
        with self._lock:
            if self._read_at is None or not timedelta(0) <= now - self._read_at < _FRESH:
                with self._database.reading() as session:
                    self._found = heard(session)
                self._read_at = now
            return self._found
