"""A service for the web's tests: real rooms over a SQLite file, doubles only where `app` ships them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.db.engine import Database, sqlite_url
from app.decision import store as decisions
from app.decision.decision import Allows, Decision, Effect, Verdict
from app.decision.settings import DecisionSettings
from app.diagnosis import store as diagnoses
from app.diagnosis.diagnose import Diagnose
from app.foundation.clock import FrozenClock
from app.foundation.errors import Unavailable
from app.foundation.ids import derived_id
from app.incidents import store as incidents
from app.incidents.group import Group
from app.intake.event import Event, Report
from app.intake.inbox import Inbox
from app.intake.ingest import Ingest, prepare
from app.knowledge.embed import HashingEmbedder
from app.knowledge.retrieve import Retriever
from app.knowledge.runbook import SECTIONS
from app.knowledge.shelf import Shelf
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from app.learning.learn import Learn
from app.main import doors
from app.people.directory import DirectoryFile
from app.people.person import Role
from app.people.settings import PeopleSettings
from app.pipeline.desk import Desk
from app.pipeline.measure import Measure
from app.remediation import approve, store
from app.remediation.strategies.escalate_to_human import EscalateToHuman
from app.remediation.strategies.retry_with_exponential_backoff import RetryWithExponentialBackoff
from app.settings import DbSettings, Settings, in_force
from app.systems.checkout import Histories
from app.systems.targets import Targets
from app.tables import metadata
from app.web.deps import Parts
from app.web.security import Keyring, RateLimit, create_key
from app.web.settings import WebSettings
from tests import situations

SETTINGS = Settings(
    db=DbSettings(url=SecretStr("postgresql+psycopg://mendline:hunter2@db.internal/mendline")),
    people=PeopleSettings(webhooks=("https://hooks.test/T0/B1/xoxtoken",), url="https://mendline.test"),
)
RUNBOOK = """---
id: {id}
types: [network_timeout]
signals: ['timed out']
strategy: retry_with_exponential_backoff
params: {{tries: 2}}
risk: low
approval: auto
owner: "{owner}"
reviewed: 2026-11-01
---
# {title}

{sections}
"""


def runbook_text(
    name: str, title: str = "The job timed out", owner: str = "data", body: str = "Look at it."
) -> str:
    """A runbook file that is valid, each section saying `body`."""
    sections = "\n\n".join(f"## {heading}\n\n{body}" for heading in SECTIONS)
    return RUNBOOK.format(id=name, title=title, owner=owner, sections=sections)


class World:
    """One service, and what happened to it so far."""

    def __init__(self, folder: Path) -> None:
        self.clock = FrozenClock(situations.NOW)
        self.database = Database(sqlite_url(folder / "mendline.db"))
        metadata.create_all(self.database.engine)
        self.shelf = folder / "runbooks"
        self.shelf.mkdir()
        self.answered: list[str] = []
        self.undoing: list[str] = []
        self.brain: Diagnose | None = None
        self.ready = {"database": "ok", "diagnosis": "ok", "targets": "ok"}
        self.group = Group(self.database, self.clock, lambda opened: None)
        self.retriever = Retriever(HashingEmbedder())
        taxonomy = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
        targets = Targets(folder / "targets.yaml", self.database)
        strategies = {one.id: one(targets) for one in (RetryWithExponentialBackoff, EscalateToHuman)}
        self.inbox = Inbox(self.group.commit)
        self.directory = DirectoryFile(folder / "people.yaml")
        learn = Learn(self.database, self.clock, taxonomy, lambda: self.retriever)
        self.parts = Parts(
            settings=WebSettings(),
            database=self.database,
            clock=self.clock,
            ingest=Ingest(self.inbox, self.clock),
            sources={},
            diagnose=self._diagnose,
            retriever=lambda: self.retriever,
            decision=DecisionSettings(),
            learn=learn,
            taxonomy=taxonomy,
            strategies=strategies,
            targets=targets,
            programs=("/usr/bin/vaultctl",),
            runbooks=Shelf(
                folder / "shipped",
                self.shelf,
                folder / "runbooks-in-force.json",
                taxonomy,
                {name: strategy.Params for name, strategy in strategies.items()},
            ).read,
            history=Histories(0).of,
            readiness=lambda: self.ready,
            measure=Measure(
                self.database,
                self.clock,
                lambda: self.ready,
                {"people": self.directory.read},
                lambda: self.inbox.waiting,
                lambda: self.retriever.cases,
            ),
            desk=Desk(
                self.database,
                self.clock,
                taxonomy,
                strategies,
                self.directory,
                learn,
                timedelta(days=30),
                answered=self.answered.append,
                undoing=self.undoing.append,
            ),
            keyring=Keyring(self.database),
            rate_limit=RateLimit(0),
            session_secret="a secret of the tests",
            settings_in_force=in_force(SETTINGS),
            directory=self.directory,
            provider=None,
        )
        self.app = doors(self.parts)

    def _diagnose(self) -> Any:
        if self.brain is None:
            raise Unavailable("not ready to diagnose: loading")
        return self.brain

    def key(self, role: Role, name: str = "") -> str:
        """A new key."""
        with self.database.writing() as session:
            return create_key(session, name or role.value, role, self.clock.now())

    def incident(self, message: str = "connection to db timed out", **fields: Any) -> str:
        """An incident that one event opened; its id."""
        report = Report(
            **{"message": message, "target": situations.TARGET, "fingerprint": message[:400], **fields}
        )
        event: Event = prepare(report, fields.get("source", "airflow"), self.clock.now())
        (accepted,) = self.group.commit([event])
        assert accepted.incident_id is not None
        return accepted.incident_id

    def diagnose(self, incident_id: str, **fields: Any) -> str:
        """A diagnosis of the incident, stored; its id."""
        number = str(len(self.diagnoses(incident_id)))
        fields = {"id": derived_id("dia", incident_id, number), "at": self.clock.now(), **fields}
        made = situations.diagnosis(incident_id=incident_id, **fields)
        with self.database.writing() as session:
            diagnoses.add(session, made)
            incidents.mark_handled(session, incident_id, made.episode)
        return made.id

    def diagnoses(self, incident_id: str) -> list[Any]:
        """What is stored of it."""
        with self.database.reading() as session:
            return list(diagnoses.of_incident(session, incident_id))

    def decide(self, incident_id: str, effect: Effect = Effect.ASK, **fields: Any) -> Decision:
        """A decision on the incident's newest diagnosis, stored, and the question where it asks."""
        diagnosis = self.diagnoses(incident_id)[-1]
        allows = Allows.ASK if effect is Effect.ASK else Allows.ALLOW
        plan = fields.pop("plan", situations.plan())
        made = Decision(
            **{
                "id": derived_id("dec", diagnosis.id, effect),
                "incident_id": incident_id,
                "episode": diagnosis.episode,
                "diagnosis_id": diagnosis.id,
                "at": self.clock.now(),
                "effect": effect,
                "strategy": plan.strategy,
                "plan": plan,
                "verdicts": (
                    Verdict(gate="pause", allows=Allows.ALLOW, reason="pause.running", says="nobody paused"),
                    Verdict(gate="bands", allows=allows, reason="bands.likely", says="a confidence of 0.6"),
                ),
                "considered": ("recover_service: the target does not allow it",),
                "says": "asks a person first: a confidence of 0.6",
                **fields,
            }
        )
        with self.database.writing() as session:
            decisions.add(session, made)
            if effect is Effect.ASK:
                approve.ask(session, made.id, incident_id, plan.hash, self.clock.now(), timedelta(minutes=60))
        return made

    def asked(self, **fields: Any) -> tuple[str, str]:
        """An incident whose plan waits for a person: its id and the approval's."""
        incident_id = self.incident(**fields)
        self.diagnose(incident_id, confidence=0.6)
        return incident_id, derived_id("apr", self.decide(incident_id).id)

    def begin(self, decision: Decision, approved_by: str = "") -> str:
        """The repair that a decision begins; its id."""
        assert decision.plan is not None
        repair = store.Remediation(
            id=derived_id("rem", decision.id),
            incident_id=decision.incident_id,
            decision_id=decision.id,
            approved_by=approved_by,
            strategy=decision.plan.strategy,
            target=decision.plan.target,
            started_at=self.clock.now(),
            plan=decision.plan,
        )
        with self.database.writing() as session:
            store.begin(session, repair)
        return repair.id

    def close(self) -> None:
        self.inbox.close()
        self.database.close()


class _Reader(HTMLParser):
    """Every tag with its attributes, the forms, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.text += " "
        self.tags.append((tag, given))
        if tag == "form":
            self.forms.append((given.get("action") or "", {}))
        elif tag == "input" and self.forms:
            self.forms[-1][1][given.get("name") or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data


class Seen:
    """A page as a browser has it."""

    def __init__(self, status: int, address: str, body: str, headers: Any) -> None:
        self.status, self.address, self.body, self.headers = status, address, body, headers
        reader = _Reader()
        if "html" in headers.get("content-type", ""):
            reader.feed(body)
        self.tags, self.forms, self.text = reader.tags, reader.forms, " ".join(reader.text.split())

    def links(self) -> list[str]:
        """Where its links lead."""
        return [given.get("href") or "" for tag, given in self.tags if tag == "a"]

    def form(self, action: str, **having: str) -> dict[str, str]:
        """The fields of the form that posts to `action` and has these values."""
        for to, fields in self.forms:
            if to == action and all(fields.get(name) == value for name, value in having.items()):
                return dict(fields)
        raise AssertionError(f"no form posts to {action} with {having}; there are {self.forms}")


class Browser:
    """Somebody at the pages; follows redirects."""

    def __init__(self, app: FastAPI) -> None:
        self.client = TestClient(app, raise_server_exceptions=False)

    def get(self, path: str) -> Seen:
        answer = self.client.get(path)
        return Seen(answer.status_code, str(answer.url), answer.text, answer.headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Seen:
        answer = self.client.post(path, data=fields, headers=headers)
        return Seen(answer.status_code, str(answer.url), answer.text, answer.headers)

    def submit(self, page: Seen, action: str, having: dict[str, str] | None = None, **fields: str) -> Seen:
        """Fills in and sends a form of the page."""
        return self.post(action, page.form(action, **(having or {})) | fields)

    def sign_in(self, key: str, to: str = "/sign-in") -> Seen:
        return self.submit(self.get(to), "/sign-in", key=key)


Enter = Callable[[Role], Browser]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def stranger(world: World) -> Browser:
    """A browser in which nobody is signed in."""
    return Browser(world.app)


@pytest.fixture
def enter(world: World) -> Enter:
    """Signs somebody in, by role."""

    numbers = count(1)

    def sign_in(role: Role) -> Browser:
        browser = Browser(world.app)
        browser.sign_in(world.key(role, f"{role}-{next(numbers)}"))
        return browser

    return sign_in
