"""Queries on what people are to be told. Each takes a session and commits nothing."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, bindparam, exists, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from app.db.bulk import add_once
from app.foundation.ids import derived_id
from app.foundation.record import Record
from app.people.message import Message
from app.people.tables import DeliveryRow, ThreadRow


class Delivery(Record):
    """One message to one channel.

    ended_at   None: it is under way.
    says       why it is not there, empty otherwise.
    state      delivered, lost, late, or under way.
    """

    id: str
    channel: str
    message: Message
    at: datetime
    next_at: datetime
    attempts: int
    ended_at: datetime | None
    says: str
    state: str


def queue(session: Session, message: Message, channels: Iterable[str], at: datetime) -> None:
    """Notes that each channel is to be told; of one kind about one thing each is told once."""
    for channel in dict.fromkeys(channels):
        add_once(
            session,
            DeliveryRow(
                id=derived_id("dlv", message.kind, message.about, channel),
                channel=channel,
                incident_id=message.incident_id,
                body=message.model_dump_json(),
                at=at,
                next_at=at,
            ),
        )


def under_way(session: Session) -> set[str]:
    """The channels for which something waits."""
    told = session.exec(select(DeliveryRow.channel).where(col(DeliveryRow.ended_at).is_(None)).distinct())
    changed = session.exec(select(ThreadRow.channel).where(col(ThreadRow.stale) > 0).distinct())
    return {*told.all(), *changed.all()}


def count_under_way(session: Session) -> int:
    """How many messages are on their way."""
    rows = select(func.count()).select_from(DeliveryRow).where(col(DeliveryRow.ended_at).is_(None))
    return session.exec(rows).one()


def due(session: Session, channel: str, now: datetime, limit: int = 100) -> list[Delivery]:
    """What may be tried now, oldest first; a message waits behind the older ones of its incident."""
    older = aliased(DeliveryRow)
    waits_behind = exists().where(
        col(older.incident_id) == DeliveryRow.incident_id,
        col(older.channel) == channel,
        col(older.ended_at).is_(None),
        or_(
            col(older.at) < DeliveryRow.at,
            and_(col(older.at) == DeliveryRow.at, col(older.id) < DeliveryRow.id),
        ),
    )
    rows = session.exec(
        select(DeliveryRow)
        .where(col(DeliveryRow.ended_at).is_(None))
        .where(DeliveryRow.channel == channel)
        .where(col(DeliveryRow.next_at) <= now)
        .where(~waits_behind)
        .order_by(col(DeliveryRow.at), col(DeliveryRow.id))
        .limit(limit)
    ).all()
    return [_delivery(row) for row in rows]


def tried(session: Session, delivery_id: str, *, says: str, next_at: datetime | None, at: datetime) -> None:
    """Notes a try: `says` is why it failed, empty when it did not; `next_at` None: there is no other."""
    row = session.get_one(DeliveryRow, delivery_id)
    row.attempts += 1
    row.says = says
    if next_at is None:
        row.ended_at = at
    else:
        row.next_at = next_at
    session.add(row)


def drop(session: Session, delivery_id: str) -> None:
    """Takes back what need not be told any more."""
    session.delete(session.get_one(DeliveryRow, delivery_id))


def deliveries(session: Session, incident_id: str = "", limit: int = 100) -> list[Delivery]:
    """Of one incident all, in time order; else those that are late or were given up, newest first."""
    query = select(DeliveryRow)
    if incident_id:
        query = query.where(DeliveryRow.incident_id == incident_id).order_by(col(DeliveryRow.at))
    else:
        query = query.where(DeliveryRow.says != "").order_by(col(DeliveryRow.at).desc())
    return [_delivery(row) for row in session.exec(query.limit(limit)).all()]


def _delivery(row: DeliveryRow) -> Delivery:
    well, badly = ("under way", "late") if row.ended_at is None else ("delivered", "lost")
    return Delivery(
        id=row.id,
        channel=row.channel,
        message=Message.model_validate_json(row.body),
        at=row.at,
        next_at=row.next_at,
        attempts=row.attempts,
        ended_at=row.ended_at,
        says=row.says,
        state=badly if row.says else well,
    )


def reference(session: Session, incident_id: str, channel: str) -> str:
    """What the channel calls its thread, ticket or alert of the incident; empty: it has none."""
    row = session.get(ThreadRow, (incident_id, channel))
    return row.reference if row else ""


def keep_reference(session: Session, incident_id: str, channel: str, reference: str) -> None:
    """Notes what the channel calls it; what changed while it was made there is shown next."""
    row = session.get(ThreadRow, (incident_id, channel), with_for_update=True)
    if row is None:
        row = ThreadRow(incident_id=incident_id, channel=channel, reference=reference, stale=1)
    row.reference = reference
    session.add(row)


_CHANGED = (
    update(ThreadRow)
    .where(col(ThreadRow.incident_id) == bindparam("incident"))
    .values(stale=ThreadRow.stale + 1)
)


def changed(session: Session, incident_id: str) -> None:
    """Notes that what stands of the incident in channels is out of date."""
    session.connection().execute(_CHANGED, {"incident": incident_id})


def stale(session: Session, channel: str, limit: int = 100) -> list[ThreadRow]:
    """What is to be refreshed in the channel."""
    query = select(ThreadRow).where(col(ThreadRow.stale) > 0, ThreadRow.channel == channel)
    return list(session.exec(query.limit(limit)).all())


def refreshed(session: Session, row: ThreadRow) -> None:
    """Notes that the channel shows what had changed when `row` was read; a change since then keeps it stale."""
    thread = and_(col(ThreadRow.incident_id) == row.incident_id, col(ThreadRow.channel) == row.channel)
    session.execute(update(ThreadRow).where(thread).values(stale=ThreadRow.stale - row.stale))
