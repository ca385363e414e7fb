"""Incidents by the thousand, through the rooms that would have made them."""

import os
from pathlib import Path

from scripts.benches._messages import reports

_GROUP = 2_000


def make_incidents(folder: Path, count: int, first: int, handled: bool) -> None:
    """Opens `count` incidents, numbered from `first`; handled ones have a diagnosis each."""
    from sqlalchemy import insert, select, update

    from app.diagnosis.diagnosis import Choice, Diagnosis
    from app.diagnosis.tables import DiagnosisRow
    from app.foundation.ids import derived_id
    from app.incidents.group import Group
    from app.incidents.tables import IncidentRow
    from app.intake.event import Report
    from app.intake.ingest import prepare
    from app.settings import read_settings
    from app.wiring import open_store

    store = open_store(read_settings(os.environ | {"MENDLINE_DATA_DIR": str(folder)}))
    group = Group(store.database, store.clock, lambda opened: None)
    types = sorted(store.taxonomy.types)
    source = reports(first + 7)
    choice = Choice(strategy="escalate_to_human", serves=types[0], expected=0, success=1, because="made up")
    for at in range(first, first + count, _GROUP):
        now = store.clock.now()
        made = [
            Report.model_validate({**fields, "fingerprint": f"made-{number}"})
            for number, fields in zip(range(at, min(at + _GROUP, first + count)), source, strict=False)
        ]
        accepted = group.commit([prepare(report, "bench", now) for report in made])
        if not handled:
            continue
        rows = []
        for number, answer in enumerate(accepted):
            assert answer.incident_id is not None
            diagnosis = Diagnosis(
                id=derived_id("dia", answer.incident_id),
                incident_id=answer.incident_id,
                episode=1,
                at=now,
                type=types[number % len(types)],
                confidence=0.5,
                ranked=(),
                choices=(choice,),
                excerpt="",
                findings=(),
                scorer_set="made up",
                milliseconds=0,
            )
            rows.append({**diagnosis.model_dump(include=_COLUMNS), "body": diagnosis.model_dump_json()})
        with store.database.writing() as session:
            session.execute(insert(DiagnosisRow), rows)
            newest = select(DiagnosisRow.type).where(DiagnosisRow.incident_id == IncidentRow.id)
            session.execute(
                update(IncidentRow)
                .where(IncidentRow.id.in_([row["incident_id"] for row in rows]))  # type: ignore[attr-defined]
                .values(handled_episode=IncidentRow.episode, type=newest.scalar_subquery())
            )
    store.database.close()


_COLUMNS = {"id", "incident_id", "episode", "at", "type", "confidence"}
