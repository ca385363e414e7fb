"""The trail: everything that happened to one incident, in one record.

What the page, the API and `mendline explain` show alike.
"""

from app.db.engine import Database
from app.decision import store as decisions
from app.decision.decision import Decision
from app.diagnosis import store as diagnoses
from app.diagnosis.diagnosis import Diagnosis
from app.foundation.record import Record
from app.incidents import store as incidents
from app.incidents.incident import Incident, Transition
from app.intake.event import Event
from app.learning.learn import Label, newest_label
from app.people import store as people
from app.people.store import Delivery
from app.remediation import approve, store, undo
from app.remediation.approve import Approval
from app.remediation.outcome import Outcome
from app.remediation.undo import Undo


class Repair(Record):
    """One remediation with its journal and, once it ended, its outcome; and whether a person had it undone."""

    remediation: store.Remediation
    journal: tuple[store.Entry, ...]
    outcome: Outcome | None
    undo: Undo | None = None

    @property
    def can_be_undone(self) -> bool:
        """Whether a person may ask for it, as far as its record tells."""
        return not undo.refusal(self.remediation, self.outcome, self.journal, self.undo)


class Trail(Record):
    """Newest events first; everything else in time order."""

    incident: Incident
    events: tuple[Event, ...]
    transitions: tuple[Transition, ...]
    diagnoses: tuple[Diagnosis, ...]
    decisions: tuple[Decision, ...]
    approvals: tuple[Approval, ...]
    repairs: tuple[Repair, ...]
    told: tuple[Delivery, ...]
    label: Label | None
    paused: str

    @property
    def waiting(self) -> Approval | None:
        """The approval that waits for a person now."""
        return next((approval for approval in self.approvals if approval.answer is None), None)


def trail(database: Database, incident_id: str) -> Trail:
    """Reads it all; raises NotFound."""
    with database.reading() as session:
        return Trail(
            incident=incidents.get(session, incident_id),
            events=tuple(incidents.events(session, incident_id)),
            transitions=tuple(incidents.transitions(session, incident_id)),
            diagnoses=tuple(diagnoses.of_incident(session, incident_id)),
            decisions=tuple(decisions.of_incident(session, incident_id)),
            approvals=tuple(approve.of_incident(session, incident_id)),
            repairs=tuple(
                Repair(
                    remediation=remediation,
                    journal=tuple(store.journal(session, remediation.id)),
                    outcome=store.outcome(session, remediation.id),
                    undo=undo.find(session, remediation.id),
                )
                for remediation in store.of_incident(session, incident_id)
            ),
            told=tuple(people.deliveries(session, incident_id)),
            label=newest_label(session, incident_id),
            paused=decisions.current(session),
        )
