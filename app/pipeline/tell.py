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
from app.incidents.incident import Incident
from app.people.message import Message
from app.people.notify import Notify
from app.pipeline.card import Cards
from app.remediation import approve

# Labels of events that name who made the change which failed.
_AUTHOR_LABELS = ("author", "committer", "changed_by", "actor")


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

    def remind(self) -> None:
        """Tells again of questions that nobody has answered, and whom the route names for later."""
        now = self._clock.now()
        with self._database.reading() as session:
            waiting = approve.to_remind(session, now)
        for approval in waiting:
            with self._database.reading() as session:
                incident = incidents.get(session, approval.incident_id)
                decision = decisions.get(session, approval.decision_id)
                diagnosis = diagnoses.get(session, decision.diagnosis_id)
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
                owners=self._cards.owners(incident, diagnosis),
            )
            with self._database.writing() as session:
                self._notify.notify(message, session, later=now - since)
                again = self.next_reminder(incident, diagnosis, since, now)
                approve.remind_next(session, approval.id, again)

    def next_reminder(
        self, incident: Incident, diagnosis: Diagnosis, since: datetime, now: datetime
    ) -> datetime | None:
        """The next moment at which somebody is to be told again of what has waited `since`."""
        moments = [since + later for later in self._notify.later(self._cards.owners(incident, diagnosis))]
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
    ) -> None:
        """Once of one kind `about` one thing. With `strategy`, also how far it is from running alone."""
        owners: tuple[str, ...] = ()
        if self._notify.mute:
            strategy = ""
        else:
            if diagnosis is None:
                with self._database.reading() as session:
                    diagnosis = next(iter(reversed(diagnoses.of_incident(session, incident.id))), None)
            owners = self._cards.owners(incident, diagnosis)
        if strategy and (says := self._standing(strategy)) not in text:
            text = f"{text} {strategy}: {says}."
        message = Message(
            kind=kind,
            incident_id=incident.id,
            title=incident.title,
            text=text,
            about=about,
            owners=owners,
        )
        with traces.part("tell", kind=kind):
            self._notify.notify(message)
