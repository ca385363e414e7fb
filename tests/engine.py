"""The service without its door and without models: for tests that kill it, or run several of it.

`main` runs in a process of its own. It diagnoses as told and says yes to every question. With `--until-ended`
it ends by itself, with 0, as soon as every incident has an outcome and nothing is under way; else with SIGTERM.
"""

import argparse
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from dbos import DBOS
from sqlmodel import select

from app.db.engine import Database
from app.diagnosis.told import ToldDiagnose
from app.foundation import logging
from app.foundation.clock import SystemClock
from app.incidents.group import Group
from app.incidents.tables import IncidentRow
from app.intake.event import Report
from app.intake.ingest import prepare
from app.knowledge.embed import HashingEmbedder
from app.knowledge.retrieve import Retriever
from app.remediation import approve, store
from app.remediation.outcome import Outcome
from app.remediation.store import Entry, Remediation
from app.settings import read_settings
from app.wiring import Built, Service, Store, open_store
from tests.server import Body


def main() -> None:
    """Runs until it is told to stop, or until nothing is left to do."""
    parser = argparse.ArgumentParser()
    parser.add_argument("strategy")
    parser.add_argument("type")
    parser.add_argument("--until-ended", action="store_true")
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = read_settings()
    logging.configure(json=True, level=settings.log.level)

    def build(made: Store, told: object) -> Built:
        return ToldDiagnose(options.type, options.strategy, made.clock), Retriever(HashingEmbedder())

    service = Service(open_store(settings), build)
    service.start()
    print("started", flush=True)
    while not stop.wait(0.05):
        _say_yes(service)
        if options.until_ended and _ended(service.store.database):
            return  # as abruptly as a crash: closing in order takes longer than all the rest
    service.close()


def _say_yes(service: Service) -> None:
    database = service.store.database
    with database.reading() as session:
        waiting = approve.waiting(session)
    for approval in waiting:
        with database.writing() as session:
            at = service.store.clock.now()
            approve.answer(session, approval.id, approve.Answer.APPROVED, actor="the test", at=at)


def _ended(database: Database) -> bool:
    with database.reading() as session:
        incidents = session.exec(select(IncidentRow.id)).all()
        left = [incident for incident in incidents if not store.outcomes_of(session, incident)]
    return not left and not DBOS.list_workflows(status=["PENDING", "ENQUEUED"], load_input=False)


def report(database: Database, message: str, targets: Sequence[Body]) -> list[str]:
    """Stores one event for each target, as the inbox would; the incidents' ids."""
    clock = SystemClock()
    made = [Report.model_validate({"message": message, "target": target}) for target in targets]
    group = Group(database, clock, lambda opened: None)
    accepted = group.commit([prepare(one, "test", clock.now()) for one in made])
    return [str(answer.incident_id) for answer in accepted]


@dataclass(frozen=True)
class Repair:
    """One repair as the database has it."""

    remediation: Remediation
    journal: list[Entry]
    outcome: Outcome | None


def repairs(database: Database) -> list[Repair]:
    """All repairs of all incidents."""
    with database.reading() as session:
        return [
            Repair(one, store.journal(session, one.id), store.outcome(session, one.id))
            for incident in session.exec(select(IncidentRow.id)).all()
            for one in store.of_incident(session, incident)
        ]
