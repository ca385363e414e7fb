"""Tell: what people hear of an incident, on the route of whose matter it is, and of what waits for them."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from app.db.engine import Database
from app.decision import store as decisions
from app.diagnosis import store as diagnoses
from app.diagnosis.diagnosis import Diagnosis
from app.foundation import traces
from app.foundation.clock import Clock
from app.incidents import store as incidents
from app.incidents.incident import OPEN, Incident
from app.people.message import Message
from app.people.notify import Notify
from app.pipeline.card import Cards
from app.remediation import approve
from app.remediation.approve import Approval

# Labels of events that name who made the change which failed.
_AUTHOR_LABELS = ("author", "committer", "changed_by", "actor")
# So many reminders go to the same channels one by one, in the time between two reminders of one question.
_ONE_BY_ONE = 10
_WINDOW = timedelta(minutes=15)


def authors_of(session: Session, incident_id: str) -> Sequence[str]:
    """Who made the change, as the newest events say."""
    newest = incidents.events(session, incident_id, limit=5)
    named = (event.report.labels.get(label, "") for event in newest for label in _AUTHOR_LABELS)
    return tuple(dict.fromkeys(name for name in named if name))


class Telling:
    """Tells people, and tells them again of what waits."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        notify: Notify,
        cards: Cards,
        standing: Callable[[str], str] = lambda strategy: "",
        remind_every: timedelta = timedelta(0),
    ) -> None:
        """`standing` says how far a strategy is from running alone. People are reminded of a question
        `remind_every` so often; 0: only those are told whom the route names for later.
        """
        self._database = database
        self._clock = clock
        self._notify = notify
        self._cards = cards
        self._standing = standing
        self._remind_every = remind_every
        # How many reminders went to the same channels, since when.
        self._reminded: dict[tuple[str, ...], tuple[datetime, int]] = {}

    def remind(self) -> None:
        """Tells again of questions that nobody has answered, and whom the route names for later.

        Not while repairs are paused: a yes would not let them run. Where very many wait, the first few are
        told one by one and the others in one message: a hundred at once are read by nobody.
        """
        now = self._clock.now()
        with self._database.reading() as session:
            if decisions.current(session):
                return
            due = [self._reminder(session, approval, now) for approval in self._due(session, now)]
            waiting = approve.count_waiting(session) if due else 0
        if not due:
            return
        with self._database.writing() as session:
            for approval, message, since, again in due:
                if approve.remind_next(session, approval.id, now, again):
                    self._once_more(session, message, now, since, waiting)

    def _due(self, session: Session, now: datetime) -> list[Approval]:
        return approve.to_remind(session, now, [state.value for state in OPEN])

    def _reminder(
        self, session: Session, approval: Approval, now: datetime
    ) -> tuple[Approval, Message, datetime, datetime | None]:
        """The message, since when it counts how long it has waited, and when there is to be another."""
        incident = incidents.get(session, approval.incident_id)
        decision = decisions.get(session, approval.decision_id)
        owners = self._cards.owners(incident, diagnoses.get(session, decision.diagnosis_id))
        since = max(approval.asked_at, approval.snoozed_until or approval.asked_at)
        minutes = int((now - approval.asked_at).total_seconds() // 60)
        summary = decision.plan.summary if decision.plan else decision.strategy
        left = int((approval.expires_at - now).total_seconds() // 60)
        message = Message(
            kind="reminder",
            incident_id=incident.id,
            title=incident.title,
            text=f"still waiting after {minutes} min for {approval.waits_for}; {left} min are left. "
            f"May this run? {summary}.",
            about=f"{approval.id}:{minutes}",
            owners=owners,
        )
        return approval, message, since, self.next_reminder(owners, since, now)

    def _once_more(
        self, session: Session, message: Message, now: datetime, since: datetime, waiting: int
    ) -> None:
        channels = self._notify.channels(message, now - since)
        began, told = self._reminded.get(channels, (now, 0))
        if now - began >= (self._remind_every or _WINDOW):
            began, told = now, 0
        self._reminded[channels] = began, told + 1
        if told == _ONE_BY_ONE:
            text = (
                f"{message.text} And more: {waiting} questions wait for an answer in all; see the approvals."
            )
            message = message.model_copy(update={"text": text, "about": f"many:{message.about}"})
        if told <= _ONE_BY_ONE:
            self._notify.notify(message, session, later=now - since)

    def first_reminder(self, incident: Incident, diagnosis: Diagnosis, now: datetime) -> datetime | None:
        """When people are first to be told again of a question that is asked now."""
        return self.next_reminder(self._cards.owners(incident, diagnosis), now, now)

    def next_reminder(self, owners: Sequence[str], since: datetime, now: datetime) -> datetime | None:
        """The next moment at which somebody is to be told again of what has waited `since`."""
        moments = [since + later for later in self._notify.later(owners)]
        if self._remind_every:
            moments.append(now + self._remind_every)
        return min((moment for moment in moments if moment > now), default=None)

    def tell(
        self,
        kind: str,
        incident: Incident,
        text: str,
        about: str,
        strategy: str = "",
        diagnosis: Diagnosis | None = None,
        everybody: bool = False,
    ) -> None:
        """Once of one kind `about` one thing. With `strategy`, also how far it is from running alone.

        `everybody`: also those whom the route names for later.
        """
        owners: tuple[str, ...] = ()
        if self._notify.mute:
            strategy = ""
        else:
            if diagnosis is None:
                with self._database.reading() as session:
                    diagnosis = next(iter(reversed(diagnoses.of_incident(session, incident.id))), None)
            owners = self._cards.owners(incident, diagnosis)
        if strategy and (says := self._standing(strategy)) not in text:
            text = f"{text.rstrip('.')}. {strategy}: {says}."
        message = Message(
            kind=kind,
            incident_id=incident.id,
            title=incident.title,
            text=text,
            about=about,
            owners=owners,
        )
        with traces.part("tell", kind=kind):
            self._notify.notify(message, later=timedelta.max if everybody else None)
