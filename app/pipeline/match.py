"""Match: which past incidents a runbook speaks of, what it would have led to there, and how they ended.

Stores nothing and acts on nothing. A plan is made as it would be now: it looks at the target as it is.
"""

from datetime import datetime

import orjson
from sqlmodel import Session, col, select

from app.db.bulk import chunks
from app.db.engine import Database
from app.diagnosis.diagnose import Diagnose
from app.diagnosis.tables import DiagnosisRow
from app.foundation.record import Record
from app.incidents import store as incidents
from app.incidents.tables import IncidentRow
from app.knowledge.retrieve import Retriever
from app.pipeline.replay import ended
from app.pipeline.situation import target_of
from app.pipeline.symptom import symptom_of
from app.remediation.plan import plan
from app.remediation.strategy import Strategies
from app.systems.targets import Targets


class Match(Record):
    """A past incident that the runbook speaks of: `signal` is the text that a signal of it matched, `section`
    the one that is among the three nearest, with its `similarity`; each empty where it is not so.

    `type` and `confidence` are of the incident's newest diagnosis; `ended` is how it ended, in words.
    """

    incident_id: str
    at: datetime
    title: str
    target: str
    signal: str
    section: str
    similarity: float
    type: str
    confidence: float
    ended: str


class Matches(Record):
    """Those of the newest `looked_at` incidents, newest first."""

    looked_at: int
    matches: tuple[Match, ...]


class Trial(Record):
    """What a match would be with the runbook in force: the diagnosis, whether it cites the runbook, and the plan.

    `follows` is whether the plan's strategy is the one that the runbook recommends, and on its word.
    """

    match: Match
    type: str
    confidence: float
    cited: bool
    follows: bool
    strategy: str
    plan: str
    considered: tuple[str, ...]


def matches(
    session: Session, retriever: Retriever, runbook_id: str, *, most: int, since: datetime | None = None
) -> Matches:
    """Looks at the newest `most` incidents, by when they were last seen; `retriever` has the runbook on its shelf.

    Costs an embedding for each text that was not seen lately.
    """
    query = select(IncidentRow).order_by(col(IncidentRow.last_seen).desc(), col(IncidentRow.id).desc())
    if since is not None:
        query = query.where(col(IncidentRow.last_seen) >= since)
    of = {incident.id: incident for incident in session.exec(query.limit(most)).all()}
    newest: dict[str, DiagnosisRow] = {}
    for chunk in chunks(of):
        rows = session.exec(
            select(DiagnosisRow)
            .where(col(DiagnosisRow.incident_id).in_(chunk))
            .order_by(col(DiagnosisRow.at))
        )
        newest.update({row.incident_id: row for row in rows})
    found: list[Match] = []
    spoken: dict[str, tuple[str, str, float]] = {}
    for incident_id, incident in of.items():
        row = newest.get(incident_id)
        if row is None:
            continue
        text = orjson.loads(row.body)["excerpt"]
        if text not in spoken:
            spoken[text] = _speaks(retriever, runbook_id, text)
        signal, section, similarity = spoken[text]
        if not (signal or section):
            continue
        found.append(
            Match(
                incident_id=incident_id,
                at=incident.last_seen,
                title=incident.title,
                target=incident.target_key,
                signal=signal,
                section=section,
                similarity=similarity,
                type=row.type,
                confidence=row.confidence,
                ended=ended(session, incident_id),
            )
        )
    return Matches(looked_at=len(of), matches=tuple(found))


def _speaks(retriever: Retriever, runbook_id: str, text: str) -> tuple[str, str, float]:
    if not text.strip():
        return "", "", 0.0
    _, signal = retriever.signalled(text).get(runbook_id, (None, ""))
    near = next((one for one in retriever.sections(text, 3) if one.runbook.id == runbook_id), None)
    return signal, near.ref if near else "", near.similarity if near else 0.0


def tried(
    database: Database,
    brain: Diagnose,
    found: Matches,
    runbook_id: str,
    strategies: Strategies,
    targets: Targets,
    most: int = 50,
) -> list[Trial]:
    """The newest `most` of the matches diagnosed and planned again, by a brain that has the runbook.

    A brain knows what was learned since, also from these incidents.
    """
    made: list[Trial] = []
    for match in found.matches[:most]:
        with database.reading() as session:
            incident = incidents.get(session, match.incident_id)
            symptom = symptom_of(session, match.incident_id)
        diagnosis = brain.diagnose(symptom, incident.episode)
        planned = plan(incident, diagnosis, target_of(incident, targets), strategies, targets.find)
        chosen = next(one for one in diagnosis.choices if one.strategy == planned.plan.strategy)
        refs = (diagnosis.runbook, *(choice.runbook for choice in diagnosis.choices))
        made.append(
            Trial(
                match=match,
                type=diagnosis.type,
                confidence=diagnosis.confidence,
                cited=any(ref.partition("#")[0] == runbook_id for ref in refs),
                follows=chosen.runbook.partition("#")[0] == runbook_id,
                strategy=planned.plan.strategy,
                plan=planned.plan.summary,
                considered=planned.considered,
            )
        )
    return made
