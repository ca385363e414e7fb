"""Approve: a plan waits for a person, or for two different ones, who answer once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import orjson
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from app.db.bulk import add_once
from app.foundation.errors import Conflict, NotFound
from app.foundation.ids import derived_id, new_id
from app.foundation.record import Record
from app.incidents.tables import IncidentRow
from app.people import store as people_
from app.remediation.tables import ApprovalAnswerRow, ApprovalRow, ApprovalYesRow, SnoozeRow


class Answer(StrEnum):
    """VOID: the plan changed or the incident closed before anybody answered."""

    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    VOID = "void"


class Yes(Record):
    """One person's yes."""

    actor: str
    at: datetime
    reason: str


class Approval(Record):
    """`answer` is None while it waits.

    people       so many different persons must say yes; `yeses` are those who have, oldest first. One no ends it.
    not_by       who may not say yes: whoever made the change that it is about.
    right_type   what a person who said no says the type really is; `other` the strategy that they want a plan of.
    """

    id: str
    incident_id: str
    decision_id: str
    plan_hash: str
    asked_at: datetime
    expires_at: datetime
    people: int = 1
    not_by: tuple[str, ...] = ()
    yeses: tuple[Yes, ...] = ()
    snoozed_until: datetime | None = None
    answer: Answer | None = None
    actor: str = ""
    answered_at: datetime | None = None
    reason: str = ""
    right_type: str = ""
    other: str = ""

    @property
    def waits_for(self) -> str:
        """`one more person, because ada has said yes`; empty once it has an answer."""
        if self.answer is not None:
            return ""
        more = self.people - len(self.yeses)
        said = f", because {_names(self.yeses)} has said yes" if self.yeses else ""
        return f"{'one more person' if self.yeses else 'one person' if more == 1 else 'two persons'}{said}"


class AlreadyAnswered(Conflict):
    code = "already_answered"


class TooLong(Conflict):
    code = "too_long"


class PlanChanged(Conflict):
    code = "plan_changed"


def ask(
    session: Session,
    decision_id: str,
    incident_id: str,
    plan_hash: str,
    at: datetime,
    within: timedelta,
    people: int = 1,
    *,
    not_by: Sequence[str] = (),
    remind_at: datetime | None = None,
) -> str:
    """Stores the question to so many people and returns its id; asking twice for one decision is once."""
    approval_id = derived_id("apr", decision_id)
    add_once(
        session,
        ApprovalRow(
            id=approval_id,
            incident_id=incident_id,
            decision_id=decision_id,
            plan_hash=plan_hash,
            asked_at=at,
            expires_at=at + within,
            people=people,
            not_by=orjson.dumps(list(not_by)).decode(),
            remind_at=remind_at,
        ),
    )
    people_.changed(session, incident_id)
    return approval_id


def answer(
    session: Session,
    approval_id: str,
    given: Answer,
    *,
    actor: str,
    at: datetime,
    plan_hash: str | None = None,
    reason: str = "",
    right_type: str = "",
    other: str = "",
) -> Approval:
    """Records the one answer; where two people must say yes, the first yes leaves it waiting.

    Raises NotFound, AlreadyAnswered saying by whom and when, or PlanChanged when `plan_hash`
    is not that of the plan that waits. An overdue approval can only expire.
    """
    row = session.get(ApprovalRow, approval_id, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no approval {approval_id}")
    before = session.get(ApprovalAnswerRow, approval_id)
    if before is not None:
        raise AlreadyAnswered(
            f"{before.actor} has answered already: {before.answer} at {before.at:%Y-%m-%d %H:%M:%S} UTC"
        )
    if plan_hash is not None and plan_hash != row.plan_hash:
        raise PlanChanged(f"the plan that waits is {row.plan_hash}, not {plan_hash}; read it again")
    if given in (Answer.APPROVED, Answer.DENIED) and at >= row.expires_at:
        raise AlreadyAnswered(f"this approval expired at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    if given is Answer.EXPIRED and at < row.expires_at:
        raise AlreadyAnswered("somebody put it off in this very moment")
    people_.changed(session, row.incident_id)
    if given is Answer.APPROVED:
        yeses = _say_yes(session, row, actor, at, reason)
        if len(yeses) < row.people:
            return _approval(row, None, yeses)
        actor, reason = _names(yeses), "; ".join(yes.reason for yes in yeses if yes.reason)
    row.waiting = False
    session.add(row)
    session.add(
        ApprovalAnswerRow(
            approval_id=approval_id,
            answer=given.value,
            actor=actor,
            at=at,
            reason=reason,
            right_type=right_type,
            other=other,
        )
    )
    try:
        session.flush()
    except IntegrityError:
        raise AlreadyAnswered("somebody else answered in the same moment") from None
    return get(session, approval_id)


def snooze(
    session: Session,
    approval_id: str,
    until: datetime,
    *,
    actor: str,
    at: datetime,
    most: timedelta,
    reason: str = "",
) -> Approval:
    """Nobody is reminded until then, and the question waits that much longer, by `most` in all.

    Raises NotFound, AlreadyAnswered or TooLong.
    """
    row = session.get(ApprovalRow, approval_id, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no approval {approval_id}")
    if not row.waiting or at >= row.expires_at:
        raise AlreadyAnswered("there is nothing to put off: it has its answer, or its time has passed")
    more = until - max(at, row.snoozed_until or at)
    if _put_off(session, approval_id) + more > most:
        raise TooLong(f"a question is put off by {most.total_seconds() / 3600:g} hours in all, and no longer")
    row.expires_at += more
    row.snoozed_until = row.remind_at = until
    session.add(row)
    session.add(
        SnoozeRow(
            id=new_id("snz", at), approval_id=approval_id, actor=actor, at=at, until=until, reason=reason
        )
    )
    people_.changed(session, row.incident_id)
    session.flush()
    return get(session, approval_id)


def _put_off(session: Session, approval_id: str) -> timedelta:
    """How much longer it waits by now than it was asked to."""
    rows = session.exec(
        select(SnoozeRow).where(SnoozeRow.approval_id == approval_id).order_by(col(SnoozeRow.at))
    ).all()
    total, until = timedelta(0), None
    for row in rows:
        total += row.until - max(row.at, until or row.at)
        until = row.until
    return total


def to_remind(session: Session, now: datetime, open_states: Sequence[str], limit: int = 50) -> list[Approval]:
    """Those of which people are to be reminded now: their time has not passed and their incident is open."""
    rows = session.exec(
        select(ApprovalRow)
        .join(IncidentRow, col(IncidentRow.id) == ApprovalRow.incident_id)
        .where(col(ApprovalRow.waiting))
        .where(col(ApprovalRow.remind_at) <= now)
        .where(col(ApprovalRow.expires_at) > now)
        .where(col(IncidentRow.state).in_(open_states))
        .order_by(col(ApprovalRow.remind_at))
        .limit(limit)
    ).all()
    yeses = _yeses(session, [row.id for row in rows])
    return [_approval(row, None, yeses.get(row.id, ())) for row in rows]


def remind_next(session: Session, approval_id: str, now: datetime, at: datetime | None) -> bool:
    """Whether people are to be reminded now by who asks; another process, or an answer, may have come first.

    `at` is when they are to be reminded again; None: no more.
    """
    row = session.get_one(ApprovalRow, approval_id, with_for_update=True)
    if not row.waiting or row.remind_at is None or row.remind_at > now:
        return False
    row.remind_at = at
    session.add(row)
    return True


def _say_yes(session: Session, row: ApprovalRow, actor: str, at: datetime, reason: str) -> list[Yes]:
    """Notes one person's yes and returns all there are; raises AlreadyAnswered when it is their second."""
    before = _yeses(session, [row.id])
    if any(yes.actor == actor for yes in before.get(row.id, ())):
        raise AlreadyAnswered(
            f"{actor} has said yes already; this plan needs {row.people} different persons, "
            "so somebody else must answer"
        )
    session.add(ApprovalYesRow(approval_id=row.id, actor=actor, at=at, reason=reason))
    session.flush()
    return [*before.get(row.id, ()), Yes(actor=actor, at=at, reason=reason)]


def _yeses(session: Session, approval_ids: Sequence[str]) -> dict[str, list[Yes]]:
    if not approval_ids:
        return {}
    rows = session.exec(
        select(ApprovalYesRow)
        .where(col(ApprovalYesRow.approval_id).in_(approval_ids))
        .order_by(col(ApprovalYesRow.at), col(ApprovalYesRow.actor))
    ).all()
    found: dict[str, list[Yes]] = {}
    for row in rows:
        found.setdefault(row.approval_id, []).append(Yes(actor=row.actor, at=row.at, reason=row.reason))
    return found


def _names(yeses: Sequence[Yes]) -> str:
    return " and ".join(yes.actor for yes in yeses)


def get(session: Session, approval_id: str) -> Approval:
    """The approval with its answer, if it has one; raises NotFound."""
    row = session.get(ApprovalRow, approval_id)
    if row is None:
        raise NotFound(f"there is no approval {approval_id}")
    yeses = _yeses(session, [approval_id]).get(approval_id, ())
    return _approval(row, session.get(ApprovalAnswerRow, approval_id), yeses)


def _approval(row: ApprovalRow, given: ApprovalAnswerRow | None, yeses: Sequence[Yes]) -> Approval:
    return Approval(
        id=row.id,
        incident_id=row.incident_id,
        decision_id=row.decision_id,
        plan_hash=row.plan_hash,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        people=row.people,
        not_by=tuple(orjson.loads(row.not_by)),
        yeses=tuple(yeses),
        snoozed_until=row.snoozed_until,
        answer=Answer(given.answer) if given else None,
        actor=given.actor if given else "",
        answered_at=given.at if given else None,
        reason=given.reason if given else "",
        right_type=given.right_type if given else "",
        other=given.other if given else "",
    )


def waiting(session: Session, *, limit: int = 100) -> list[Approval]:
    """The approvals that wait, longest first."""
    rows = session.exec(
        select(ApprovalRow).where(col(ApprovalRow.waiting)).order_by(col(ApprovalRow.asked_at)).limit(limit)
    ).all()
    yeses = _yeses(session, [row.id for row in rows])
    return [_approval(row, None, yeses.get(row.id, ())) for row in rows]


def count_waiting(session: Session) -> int:
    """How many approvals wait."""
    return session.exec(select(func.count()).select_from(ApprovalRow).where(col(ApprovalRow.waiting))).one()


def overdue(session: Session, now: datetime, limit: int = 100) -> list[str]:
    """The ids of approvals that wait past their time."""
    return list(
        session.exec(
            select(ApprovalRow.id)
            .where(col(ApprovalRow.waiting))
            .where(col(ApprovalRow.expires_at) <= now)
            .limit(limit)
        ).all()
    )


def pointless(session: Session, open_states: Sequence[str], limit: int = 100) -> list[str]:
    """The ids of approvals that wait although their incident is no longer open."""
    return list(
        session.exec(
            select(ApprovalRow.id)
            .join(IncidentRow, col(IncidentRow.id) == ApprovalRow.incident_id)
            .where(col(ApprovalRow.waiting))
            .where(col(IncidentRow.state).not_in(open_states))
            .limit(limit)
        ).all()
    )


def unfollowed(session: Session, limit: int = 100) -> list[str]:
    """The ids of answered approvals from which nothing has followed yet."""
    return list(
        session.exec(
            select(ApprovalRow.id)
            .where(col(ApprovalRow.waiting).is_(False))
            .where(col(ApprovalRow.followed).is_(False))
            .limit(limit)
        ).all()
    )


def mark_followed(session: Session, approval_id: str) -> None:
    """Notes that what follows from the answer has begun."""
    row = session.get(ApprovalRow, approval_id)
    if row is not None:
        row.followed = True
        session.add(row)


def of_incident(session: Session, incident_id: str) -> list[Approval]:
    """All approvals of an incident in time order."""
    rows = session.exec(
        select(ApprovalRow, ApprovalAnswerRow)
        .outerjoin(ApprovalAnswerRow, col(ApprovalAnswerRow.approval_id) == ApprovalRow.id)
        .where(ApprovalRow.incident_id == incident_id)
        .order_by(col(ApprovalRow.asked_at))
    ).all()
    yeses = _yeses(session, [row.id for row, _ in rows])
    return [_approval(row, given, yeses.get(row.id, ())) for row, given in rows]
