"""Queries on decisions, pauses and modes. Each takes a session and commits nothing."""

import base64
import zlib
from collections.abc import Iterator
from datetime import datetime

import orjson
from sqlalchemy import bindparam
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from app.db import read
from app.db.alone import alone
from app.db.bulk import add_once
from app.decision.decision import Decision, Effect, Situation
from app.decision.mode import Mode, ModeSetting
from app.decision.tables import DecisionRow, ModeRow, PauseRow
from app.diagnosis.diagnosis import Diagnosis
from app.diagnosis.tables import DiagnosisRow
from app.foundation.errors import NotFound
from app.foundation.record import Record


class Recorded(Record):
    """A decision with what its gates saw: None when that was not kept, or cannot be read any more."""

    decision: Decision
    situation: Situation | None


def add(session: Session, decision: Decision, situation: Situation | None = None) -> None:
    """Stores the decision; where its id is known already (a step that ran twice), the first stands.

    With the `situation` that it was made in, it can be made again.
    """
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
            situation=None if situation is None else _packed(situation),
        ),
    )


def _packed(situation: Situation) -> str:
    """Without the plan and the diagnosis, which are kept already and never change."""
    seen = situation.model_dump_json(exclude={"plan", "diagnosis"})
    return base64.b64encode(zlib.compress(seen.encode())).decode()


def history(session: Session, since: datetime) -> Iterator[Recorded]:
    """The decisions made since, oldest first, each with what its gates saw."""
    rows = session.exec(
        select(DecisionRow, DiagnosisRow.body)
        .outerjoin(DiagnosisRow, col(DiagnosisRow.id) == DecisionRow.diagnosis_id)
        .where(col(DecisionRow.at) >= since)
        .order_by(col(DecisionRow.at), col(DecisionRow.id))
        .execution_options(yield_per=200)
    )
    for row, diagnosis in rows:
        decision = Decision.model_validate_json(row.body)
        yield Recorded(decision=decision, situation=_unpacked(row.situation, decision, diagnosis))


def _unpacked(packed: str | None, decision: Decision, diagnosis: str | None) -> Situation | None:
    if packed is None or diagnosis is None or decision.plan is None:
        return None
    try:
        return Situation(
            **orjson.loads(zlib.decompress(base64.b64decode(packed))),
            plan=decision.plan,
            diagnosis=Diagnosis.model_validate_json(diagnosis),
        )
    except (ValueError, zlib.error):  # of a version whose situations had other fields, or damaged
        return None


def find(session: Session, decision_id: str) -> Decision | None:
    """The decision; None when it was not made yet."""
    row = read.row(session, DecisionRow, decision_id)
    return Decision.model_validate_json(row.body) if row else None


def get(session: Session, decision_id: str) -> Decision:
    """The decision; raises NotFound."""
    decision = find(session, decision_id)
    if decision is None:
        raise NotFound(f"there is no decision {decision_id}")
    return decision


_EPISODE = columns(col(DecisionRow.episode)).where(col(DecisionRow.id) == bindparam("id"))


def episode_of(session: Session, decision_id: str) -> int:
    """The episode of its incident that was decided on; raises NotFound."""
    found = read.rows(session, _EPISODE, id=decision_id)
    if not found:
        raise NotFound(f"there is no decision {decision_id}")
    episode: int = found[0].episode
    return episode


_EFFECT = columns(col(DecisionRow.effect)).where(col(DecisionRow.id) == bindparam("id"))


def effect_of(session: Session, decision_id: str) -> Effect | None:
    """What was decided; None when it was not decided yet."""
    found = read.rows(session, _EFFECT, id=decision_id)
    return Effect(found[0].effect) if found else None


def of_incident(session: Session, incident_id: str) -> list[Decision]:
    """All decisions on an incident in time order."""
    rows = session.exec(
        select(DecisionRow)
        .where(DecisionRow.incident_id == incident_id)
        .order_by(col(DecisionRow.at), col(DecisionRow.id))
    ).all()
    return [Decision.model_validate_json(row.body) for row in rows]


def govern(session: Session) -> None:
    """Until this transaction ends, no other one decides, starts or pauses: what the gates saw stays true."""
    alone(session, "governor")


def pause(session: Session, *, actor: str, reason: str, at: datetime) -> None:
    """Holds all repairs back from now on; said again, the newest reason counts.

    A start that is being decided comes before it; once this is committed, none follows.
    """
    govern(session)
    session.add(PauseRow(at=at, actor=actor, paused=True, reason=reason))


def resume(session: Session, *, actor: str, reason: str, at: datetime) -> None:
    """Lets repairs go on."""
    session.add(PauseRow(at=at, actor=actor, paused=False, reason=reason))


_PAUSE = columns(*read.table_of(PauseRow).c).order_by(col(PauseRow.id).desc()).limit(1)


def current(session: Session) -> str:
    """`paused by X: reason` while paused, else empty; what a situation carries as `paused`."""
    row = next(iter(read.rows(session, _PAUSE)), None)
    if row is None or not row.paused:
        return ""
    return f"paused by {row.actor}: {row.reason}" if row.reason else f"paused by {row.actor}"


def set_mode(session: Session, setting: ModeSetting) -> None:
    """In force from the next decision on; repairs that are queued are looked at again when they start."""
    session.add(ModeRow(**setting.model_dump(exclude={"mode"}), mode=setting.mode.value))


_MODES = (
    columns(*read.table_of(ModeRow).c)
    .where(
        col(ModeRow.id).in_(
            select(func.max(ModeRow.id)).group_by(ModeRow.strategy, ModeRow.type, ModeRow.environment)
        )
    )
    .where(col(ModeRow.mode) != Mode.DEFAULT.value)
    .order_by(col(ModeRow.strategy), col(ModeRow.type), col(ModeRow.environment))
)


def modes(session: Session) -> list[ModeSetting]:
    """What is in force, the widest first."""
    return [
        ModeSetting(
            at=row.at,
            actor=row.actor,
            strategy=row.strategy,
            type=row.type,
            environment=row.environment,
            mode=Mode(row.mode),
            reason=row.reason,
        )
        for row in read.rows(session, _MODES)
    ]
