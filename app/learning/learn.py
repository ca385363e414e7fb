"""Learn: a verified outcome or a correction becomes a case, findable from the next event on."""

from collections.abc import Callable

from sqlmodel import Session, col, select

from app.db.engine import Database
from app.diagnosis import store as diagnoses
from app.diagnosis.excerpt import excerpt
from app.diagnosis.tables import LabelRow
from app.foundation.clock import Clock
from app.foundation.errors import Invalid
from app.foundation.ids import derived_id, new_id
from app.foundation.record import Record
from app.incidents import store as incidents
from app.incidents.incident import Incident
from app.knowledge import store as knowledge
from app.knowledge.case import Case, Origin
from app.knowledge.retrieve import Retriever
from app.knowledge.tables import CaseRow
from app.knowledge.taxonomy import Taxonomy
from app.remediation.outcome import Ended, Outcome


class Label(Record):
    """What a person said the type of an incident really is."""

    type: str
    actor: str
    reason: str


class Learn:
    """Turns outcomes and corrections into cases. `retriever` is asked for when it is needed: it loads late."""

    def __init__(
        self, database: Database, clock: Clock, taxonomy: Taxonomy, retriever: Callable[[], Retriever]
    ) -> None:
        self._database = database
        self._clock = clock
        self._taxonomy = taxonomy
        self._retriever = retriever

    def learn(self, outcome: Outcome) -> Case | None:
        """The case that a verified outcome leaves; None when there is nothing to learn from it."""
        if outcome.ended is not Ended.VERIFIED:
            return None
        with self._database.reading() as session:
            incident = incidents.get(session, outcome.incident_id)
            found = diagnoses.of_incident(session, outcome.incident_id)
            label = newest_label(session, outcome.incident_id)
        if not found:
            return None
        case = Case(
            id=derived_id("case", outcome.remediation_id),
            text=found[-1].excerpt or excerpt(incident.message),
            type=label.type if label else found[-1].type,
            system=incident.target.system or incident.source,
            resolution=outcome.says[:500],
            strategy=outcome.strategy,
            success=True,
            origin=Origin.OUTCOME,
            incident_id=incident.id,
            created_at=outcome.at,
        )
        self._keep(case)
        return case

    def unlearn(self, remediation_id: str) -> None:
        """Retires the case that a repair's outcome left: a person had the repair undone."""
        case_id = derived_id("case", remediation_id)
        with self._database.writing() as session:
            row = session.get(CaseRow, case_id)
            if row is None or row.retired:
                return
            row.retired = True
            session.add(row)
        self._retriever().forget([case_id])

    def correct(self, incident_id: str, type_: str, *, actor: str, reason: str) -> Case:
        """The case that a person's correction leaves; raises NotFound, or Invalid for an unknown type."""
        if type_ not in self._taxonomy.types:
            known = ", ".join(self._taxonomy.types)
            raise Invalid(f"there is no type {type_!r}", places=(("type", f"one of {known}"),))
        now = self._clock.now()
        with self._database.reading() as session:
            incident: Incident = incidents.get(session, incident_id)
            found = diagnoses.of_incident(session, incident_id)
        case = Case(
            id=derived_id("case", "correction", incident_id),
            # What was diagnosed, log and all; before any diagnosis there is only the message.
            text=(found[-1].excerpt if found else "") or excerpt(incident.message),
            type=type_,
            system=incident.target.system or incident.source,
            resolution=reason[:500],
            origin=Origin.CORRECTION,
            incident_id=incident_id,
            created_at=now,
        )
        with self._database.writing() as session:
            session.add(
                LabelRow(
                    id=new_id("lab", now),
                    incident_id=incident_id,
                    type=type_,
                    actor=actor,
                    at=now,
                    reason=reason,
                )
            )
            wrong = session.exec(
                select(CaseRow)
                .where(CaseRow.incident_id == incident_id)
                .where(CaseRow.origin == Origin.OUTCOME.value)
                .where(CaseRow.type != type_)
                .where(col(CaseRow.retired).is_(False))
            ).all()
            for row in wrong:
                row.retired = True
                session.add(row)
        self._retriever().forget([row.id for row in wrong])
        self._keep(case)
        return case

    def _keep(self, case: Case) -> None:
        retriever = self._retriever()
        vector = retriever.embed(case.text)
        with self._database.writing() as session:
            knowledge.add(session, case)
            key = knowledge.embedding_key(retriever.embedder, retriever.read(case.text))
            knowledge.keep_vectors(session, {key: vector})
        retriever.add_case(case, vector)


def newest_label(session: Session, incident_id: str) -> Label | None:
    """What a person last said of this incident."""
    row = session.exec(
        select(LabelRow).where(LabelRow.incident_id == incident_id).order_by(col(LabelRow.at).desc()).limit(1)
    ).first()
    return Label(type=row.type, actor=row.actor, reason=row.reason) if row else None
