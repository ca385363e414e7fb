"""`mendline …` in this process: the real entry point, with an environment and a data folder of its own."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import structlog

from app import cli
from app.db.engine import Database, sqlite_url
from app.db.migrate import migrate
from app.decision import store as decisions
from app.decision.decision import Allows, Decision, Effect, Verdict
from app.diagnosis import store as diagnoses
from app.foundation.clock import SystemClock
from app.incidents import store as incidents
from app.incidents.group import Group
from app.intake.event import Report
from app.intake.ingest import prepare
from app.remediation import approve
from tests import situations


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


Mendline = Callable[..., Done]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder that commands use; made by the first of them."""
    for variable in os.environ:
        if variable.startswith("MENDLINE_"):
            monkeypatch.delenv(variable)
    folder = tmp_path / "data"
    monkeypatch.setenv("MENDLINE_DATA_DIR", str(folder))
    monkeypatch.setenv("MENDLINE_KNOWLEDGE__EMBEDDER", "hashing")
    monkeypatch.setenv("COLUMNS", "250")  # tables are not cut
    return folder


@pytest.fixture
def mendline(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Mendline]:
    """Runs a command line."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level

    def run(*words: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["mendline", *map(str, words)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    yield run
    # Commands configure logging for their process, which here is everybody's.
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


@dataclass(frozen=True)
class Filled:
    """What stands in the filled data folder."""

    incident: str
    approval: str
    plan_hash: str


@pytest.fixture
def filled(data: Path) -> Filled:
    """One incident, diagnosed, whose plan waits for a person."""
    data.mkdir()
    database, clock = Database(sqlite_url(data / "mendline.db")), SystemClock()
    migrate(database)
    event = prepare(
        Report(message="connection to the ledger timed out", target=situations.TARGET), "airflow", clock.now()
    )
    (accepted,) = Group(database, clock, lambda opened: None).commit([event])
    assert accepted.incident_id
    diagnosis = situations.diagnosis(
        incident_id=accepted.incident_id, at=clock.now(), confidence=0.62, excerpt=event.report.message
    )
    plan = situations.plan()
    decision = Decision(
        id="dec_1",
        incident_id=accepted.incident_id,
        episode=1,
        diagnosis_id=diagnosis.id,
        at=clock.now(),
        effect=Effect.ASK,
        strategy=plan.strategy,
        plan=plan,
        verdicts=(
            Verdict(
                gate="bands", allows=Allows.ASK, reason="bands.likely", says="62 % sure: a person is asked"
            ),
        ),
        says="asks a person first",
    )
    with database.writing() as session:
        diagnoses.add(session, diagnosis)
        incidents.mark_handled(session, accepted.incident_id, 1)
        decisions.add(session, decision)
        approval = approve.ask(
            session, decision.id, accepted.incident_id, plan.hash, clock.now(), timedelta(hours=1)
        )
    database.close()
    return Filled(accepted.incident_id, approval, plan.hash)


@pytest.fixture
def knowledge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small knowledge of its own in force."""
    from app.knowledge.shipped import knowledge_folder
    from tests.diagnosis import small

    folder = tmp_path / "knowledge"
    (folder / "cases").mkdir(parents=True)
    (folder / "runbooks").mkdir()
    (folder / "taxonomy.yaml").write_bytes((knowledge_folder() / "taxonomy.yaml").read_bytes())
    # Too few for folds: learned in a moment.
    lines = [
        orjson.dumps(case.model_dump(include={"id", "text", "type", "system", "resolution"}))
        for case in small.cases()[::2]
    ]
    (folder / "cases" / "all.jsonl").write_bytes(b"\n".join(lines))
    monkeypatch.setenv("MENDLINE_KNOWLEDGE__FOLDER", str(folder))
    return folder
