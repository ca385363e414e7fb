"""Queries on remediations, their journal and outcomes. Each takes a session and commits nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Integer, bindparam, case, delete
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, exists, func, or_, select

from app.db import read
from app.db.bulk import add_once, insert_rows
from app.db.engine import UtcDateTime
from app.decision.decision import Attempt
from app.decision.guarantee import Judged
from app.decision.plan import Plan
from app.decision.tables import DecisionRow
from app.diagnosis.choose import ESCALATE, TrackRecord
from app.diagnosis.tables import DiagnosisRow
from app.foundation.errors import NotFound
from app.foundation.ids import derived_id
from app.foundation.record import Record
from app.knowledge.playbook import PLAYBOOK, Result
from app.remediation.outcome import ActionEnd, Ended, Outcome
from app.remediation.tables import HeldRow, JournalRow, OutcomeRow, RemediationRow, UndoRow

# Ends that say something of the strategy itself; a repair that was stopped does not.
_TRIALS = (Ended.VERIFIED, Ended.UNDONE, Ended.STUCK)
# So many of the newest say what a strategy is worth: what it was years ago proves less, and costs as much.
_JUDGED_BY = 1000
_MOST_ATTEMPTS = 4096  # that are kept read
# Results of actions that did nothing, as `remediate` tells them.
_NOT_RUN = (Result.SKIPPED.value, "not reached")
_ACTIONS: TypeAdapter[tuple[ActionEnd, ...]] = TypeAdapter(tuple[ActionEnd, ...])


class Kind(StrEnum):
    SNAPSHOT = "snapshot"
    INTENT = "intent"
    RECEIPT = "receipt"
    FAILED = "failed"
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
    approvers: int = 0
    strategy: str
    target: str
    started_at: datetime
    plan: Plan


def begin(session: Session, remediation: Remediation) -> None:
    """Stores the beginning; beginning twice is once."""
    fields = remediation.model_dump(exclude={"plan"})
    add_once(session, RemediationRow(**fields, plan=remediation.plan.model_dump_json()))


def _remediation(row: RemediationRow) -> Remediation:
    return Remediation(
        id=row.id,
        incident_id=row.incident_id,
        decision_id=row.decision_id,
        approved_by=row.approved_by,
        approvers=row.approvers,
        strategy=row.strategy,
        target=row.target,
        started_at=row.started_at,
        plan=Plan.model_validate_json(row.plan),
    )


def get(session: Session, remediation_id: str) -> Remediation:
    """The remediation; raises NotFound."""
    row = read.row(session, RemediationRow, remediation_id)
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
    row = JournalRow(id=entry_id, remediation_id=remediation_id, kind=kind.value, step=step, at=at, body=body)
    add_once(session, row)


_JOURNAL = (
    columns(*(col(field) for field in (JournalRow.kind, JournalRow.step, JournalRow.at, JournalRow.body)))
    .where(col(JournalRow.remediation_id) == bindparam("id"))
    .order_by(col(JournalRow.at), col(JournalRow.step))
)


def noted(session: Session, remediation_id: str, kind: Kind, step: int, nth: int) -> str:
    """The body of one entry of the journal; empty when it was not written."""
    row = read.row(session, JournalRow, derived_id("jrn", remediation_id, kind, str(step), str(nth)))
    return row.body if row else ""


def journal(session: Session, remediation_id: str, kind: Kind | None = None) -> list[Entry]:
    """The journal in time order, whole or of one kind."""
    rows = read.rows(session, _JOURNAL, id=remediation_id)
    entries = [Entry(kind=Kind(row.kind), step=row.step, at=row.at, body=row.body) for row in rows]
    return [entry for entry in entries if kind in (None, entry.kind)]


def under_way(session: Session, target: str) -> bool:
    """Whether a repair of this target was begun and has not ended."""
    query = (
        select(RemediationRow.id)
        .outerjoin(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
        .where(RemediationRow.target == target, col(OutcomeRow.remediation_id).is_(None))
    )
    return session.exec(query.limit(1)).first() is not None


def left_open(session: Session, strategy: str) -> list[Remediation]:
    """The repairs that act with this strategy, alone or in a playbook, began, and neither helped nor were undone."""
    named = col(RemediationRow.plan).contains(f'"strategy":"{strategy}"', autoescape=True)
    in_playbook = and_(col(RemediationRow.strategy).startswith(f"{PLAYBOOK}:"), named)
    rows = session.exec(
        select(RemediationRow)
        .outerjoin(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
        .where(or_(RemediationRow.strategy == strategy, in_playbook))
        .where(func.coalesce(OutcomeRow.ended, "").not_in([Ended.VERIFIED.value, Ended.UNDONE.value]))
        .where(
            exists().where(
                col(JournalRow.remediation_id) == RemediationRow.id,
                col(JournalRow.kind) == Kind.INTENT.value,
            )
        )
    )
    return [_remediation(row) for row in rows.all()]


def end(session: Session, outcome: Outcome) -> None:
    """Stores how it ended and lets go of its targets; the first end stands."""
    fields = outcome.model_dump(exclude={"actions"}) | {"ended": outcome.ended.value}
    add_once(session, OutcomeRow(**fields, actions=_ACTIONS.dump_json(outcome.actions).decode()))
    release(session, outcome.remediation_id)


def _outcome(row: OutcomeRow) -> Outcome:
    return Outcome(
        remediation_id=row.remediation_id,
        incident_id=row.incident_id,
        strategy=row.strategy,
        target=row.target,
        ended=Ended(row.ended),
        at=row.at,
        says=row.says,
        undone=row.undone,
        actions=_ACTIONS.validate_json(row.actions),
    )


def outcome(session: Session, remediation_id: str) -> Outcome | None:
    """How the remediation ended; None while it is under way."""
    row = read.row(session, OutcomeRow, remediation_id)
    return _outcome(row) if row else None


def outcomes_of(session: Session, incident_id: str) -> list[Outcome]:
    """All outcomes of an incident in time order."""
    rows = session.exec(
        select(OutcomeRow).where(OutcomeRow.incident_id == incident_id).order_by(col(OutcomeRow.at))
    ).all()
    return [_outcome(row) for row in rows]


_mine = aliased(RemediationRow)
_BEFORE_ME = (
    columns(col(RemediationRow.id))
    .outerjoin(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
    .join(_mine, col(_mine.id) == bindparam("me"))
    .where(
        col(RemediationRow.target).in_(bindparam("targets", expanding=True)),
        col(RemediationRow.strategy) != ESCALATE,
        col(RemediationRow.started_at) < _mine.started_at,
        # Nothing waits longer than a day.
        col(RemediationRow.started_at) > bindparam("since", type_=UtcDateTime),
        col(OutcomeRow.remediation_id).is_(None),
    )
    .limit(1)
)


def hold(session: Session, by: str, targets: Sequence[str], now: datetime) -> bool:
    """Takes all of the targets for `by`, or none when another has one of them, or has waited longer for one.
    Taking twice is once.

    A target is the table's key, so that of two processes one gets it.
    """
    since = now - timedelta(hours=24)
    if read.rows(session, _BEFORE_ME, me=by, targets=list(targets), since=since):
        return False
    there = held(session)
    if {there[target] for target in targets if target in there} - {by}:
        return False
    new = [{"target": target, "by": by} for target in sorted(set(targets) - set(there))]
    if insert_rows(session.connection(), read.table_of(HeldRow), new, new_only=True) < len(new):
        release(session, by)  # another process took one of them in this moment
        return False
    return True


_HELD = columns(col(HeldRow.target), col(HeldRow.by))


def held(session: Session) -> dict[str, str]:
    """By what each target is acted on now: a repair's id, or that of an undoing."""
    return {row.target: row.by for row in read.rows(session, _HELD)}


_RELEASE = delete(HeldRow).where(col(HeldRow.by) == bindparam("holder"))


def release(session: Session, by: str) -> None:
    """Lets go of what `by` holds."""
    session.connection().execute(_RELEASE, {"holder": by})


_UNTOLD = func.coalesce(OutcomeRow.actions, "[]") == "[]"
_PLAYED = col(RemediationRow.strategy).startswith(f"{PLAYBOOK}:")
# Without the plans, but for those of playbooks whose outcome does not tell of their actions: there may be
# thousands, and a gate reads none.
_ATTEMPT: Any = columns(
    col(RemediationRow.id).label("remediation_id"),
    col(RemediationRow.incident_id),
    col(RemediationRow.target),
    col(RemediationRow.strategy),
    col(RemediationRow.started_at),
    col(OutcomeRow.ended),
    col(OutcomeRow.at).label("ended_at"),
    col(OutcomeRow.actions),
    case((and_(_PLAYED, _UNTOLD), col(RemediationRow.plan))).label("plan"),
)
_ATTEMPTS = (
    _ATTEMPT.outerjoin(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
    .where(
        or_(
            col(RemediationRow.started_at) > bindparam("since", type_=UtcDateTime),
            and_(
                col(RemediationRow.started_at) > bindparam("a_day_ago", type_=UtcDateTime),
                or_(
                    col(RemediationRow.target).in_(bindparam("targets", expanding=True)),
                    col(OutcomeRow.remediation_id).is_(None),
                    _PLAYED,
                ),
            ),
            col(RemediationRow.id).in_(select(HeldRow.by)),
        )
    )
    .where(col(RemediationRow.strategy) != ESCALATE)
    .order_by(col(RemediationRow.started_at))
)
_CARRIED_THROUGH = (
    _ATTEMPT.join(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
    .where(col(OutcomeRow.strategy) == bindparam("strategy"))
    .where(col(OutcomeRow.ended).in_([ended.value for ended in _TRIALS]))
    .order_by(col(OutcomeRow.at).desc())
    .limit(bindparam("most", type_=Integer))
)


def attempts(
    session: Session, now: datetime, targets: Sequence[str] = (), back: timedelta = timedelta(hours=1)
) -> tuple[Attempt, ...]:
    """The repairs begun in the last `back` or under way; of the last day also those of `targets` and those
    that wait for their turn. Oldest first.

    But for escalations, which act on nothing. What was begun after `now` counts: a clock may jump back.
    """
    day = timedelta(hours=24)
    rows = read.rows(session, _ATTEMPTS, since=now - back, a_day_ago=now - day, targets=list(targets))
    found = (_attempt(*row) for row in rows)
    # Of playbooks that ended an hour ago, those that acted on one of the targets.
    return tuple(
        attempt
        for attempt in found
        if attempt.ended is None or attempt.started_at > now - back or any(map(attempt.times_on, targets))
    )


def trials(session: Session, strategy: str, most: int = 50) -> tuple[Attempt, ...]:
    """The newest repairs with this strategy that were carried through, the oldest of them first."""
    rows = read.rows(session, _CARRIED_THROUGH, strategy=strategy, most=most)
    return tuple(_attempt(*row) for row in reversed(rows))


@lru_cache(_MOST_ATTEMPTS)
def _attempt(*row: Any) -> Attempt:
    """Of a playbook that ended, only the actions that ran."""
    remediation_id, incident_id, target, strategy, started_at, ended, ended_at, told, plan = row
    actions: tuple[tuple[str, str], ...] = ()
    if plan is not None:
        actions = Plan.model_validate_json(plan).deeds[1:]
    elif told not in (None, "[]"):
        ran = (one for one in _ACTIONS.validate_json(told) if one.result not in _NOT_RUN)
        actions = tuple((one.strategy, one.target) for one in ran)
    # There may be hundreds, at each decision: what the tables hold is not checked again.
    return Attempt.model_construct(
        None,
        remediation_id=remediation_id,
        incident_id=incident_id,
        target=target,
        strategy=strategy,
        started_at=started_at,
        ended=ended,
        ended_at=ended_at,
        actions=actions,
    )


_JUDGED: Any = (
    columns(
        col(OutcomeRow.strategy),
        col(OutcomeRow.ended),
        col(DiagnosisRow.confidence),
        col(UndoRow.remediation_id).label("undone"),
    )
    .join(RemediationRow, col(RemediationRow.id) == OutcomeRow.remediation_id)
    .join(DecisionRow, col(DecisionRow.id) == RemediationRow.decision_id)
    .join(DiagnosisRow, col(DiagnosisRow.id) == DecisionRow.diagnosis_id)
    .outerjoin(UndoRow, col(UndoRow.remediation_id) == OutcomeRow.remediation_id)
    .where(col(OutcomeRow.ended).in_([ended.value for ended in _TRIALS]))
)
_JUDGED_OF_ONE = (
    _JUDGED.where(col(OutcomeRow.strategy) == bindparam("strategy"))
    .order_by(col(OutcomeRow.at).desc())
    .limit(_JUDGED_BY)
)


def judged(session: Session, strategy: str = "") -> dict[str, list[Judged]]:
    """By strategy (of all, or the newest of one), how sure repairs that were carried through were, and how many
    of them helped.

    One that a person had undone afterwards was a wrong action. Confidences are cut to three digits.
    """
    given = {"strategy": strategy} if strategy else {}
    rows = read.rows(session, _JUDGED_OF_ONE if strategy else _JUDGED, **given)
    counts = Counter(
        (name, int(confidence * 1000) / 1000, ended == Ended.VERIFIED.value and undone is None)
        for name, ended, confidence, undone in rows
    )
    found: dict[str, list[Judged]] = {}
    for (strategy, confidence, right), times in sorted(counts.items()):
        found.setdefault(strategy, []).append(Judged(confidence=confidence, right=right, times=times))
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
