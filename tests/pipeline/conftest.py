"""A pipeline in this process: real rooms, gates and a job system; a plain run in place of the engine."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from app.db.engine import Database, sqlite_url
from app.db.migrate import migrate
from app.decision import store as decisions
from app.decision.decide import Decide, default_gates
from app.decision.decision import Decision, Effect
from app.decision.freeze import NoFreeze
from app.decision.mode import Mode, ModeSetting
from app.decision.plan import Risk
from app.decision.policy import FixedPolicy, PolicyFile
from app.decision.settings import DecisionSettings
from app.foundation.clock import FrozenClock
from app.incidents import store as incidents
from app.incidents.group import Group
from app.incidents.incident import State
from app.incidents.lifecycle import advance
from app.intake.event import Report
from app.intake.ingest import prepare
from app.learning.learn import Learn
from app.people.directory import DirectoryFile
from app.people.notify import Notify
from app.people.settings import PeopleSettings
from app.pipeline.card import Cards
from app.pipeline.pipeline import Next, Pipeline
from app.pipeline.situation import Situations
from app.pipeline.tell import Telling
from app.pipeline.workflows import answered, heal, repair
from app.remediation import approve
from app.remediation.approve import Answer
from app.remediation.remediate import Acts
from app.remediation.strategies import STRATEGIES
from app.systems.targets import Targets
from tests.diagnosis import small
from tests.doubles import JobServer
from tests.pipeline.decided import POLICY
from tests.situations import NOW, RETRY

R = TypeVar("R")
MESSAGE = "connection to {} timed out after 30 s"


class _Plain:
    """`Durable` without an engine: a step runs at once, a sleep moves the clock."""

    def __init__(self, clock: FrozenClock) -> None:
        self._clock = clock

    async def step(self, name: str, call: Callable[..., R], *args: Any) -> R:
        return call(*args)

    async def sleep(self, seconds: float) -> None:
        self._clock.advance(timedelta(seconds=seconds))


class Site:
    """One installation: what happened to it is what its methods were told."""

    def __init__(self, folder: Path, jobs: JobServer, models: Path, shadow_from: Risk | None = None) -> None:
        self.folder, self.jobs = folder, jobs
        self.clock = FrozenClock(NOW)
        self.database = Database(sqlite_url(folder / "mendline.db"))
        migrate(self.database)
        self.taxonomy = small.taxonomy()
        self._register = folder / "targets.yaml"
        self._known: list[dict[str, Any]] = []
        self._register.write_text("targets: []\n")
        self._targets = Targets(self._register)
        strategies = {kind.id: kind(self._targets) for kind in STRATEGIES}
        self.brain, retriever = small.make(models)
        self._notify = Notify(
            PeopleSettings(), DirectoryFile(folder / "people.yaml"), self.database, self.clock
        )
        self.gates = default_gates(
            FixedPolicy(PolicyFile(POLICY, self.taxonomy).read()), DecisionSettings(), NoFreeze()
        )
        self.learn = Learn(self.database, self.clock, self.taxonomy, lambda: retriever)
        self.pipeline = Pipeline(
            self.database,
            self.clock,
            lambda: self.brain,
            Decide(self.gates),
            strategies,
            self._targets,
            Acts(self.database, self.clock, strategies, folder / "backups"),
            self.learn,
            Telling(self.database, self.clock, self._notify, Cards(self.database, self._targets, strategies)),
            timedelta(hours=1),
            timedelta(days=30),
            Situations(self._targets, self.taxonomy, shadow_from),
        )
        self._durable = _Plain(self.clock)

    def job(self, name: str, environment: str = "", allow: tuple[str, ...] = (RETRY,)) -> dict[str, str]:
        """Registers a job that can be run again; the target as an event names it."""
        target = {"system": "shop", "kind": "job", "name": name, "environment": environment}
        self._known.append(
            {
                **target,
                "owner": "data",
                "connection": self.jobs.job(),
                "allow": list(allow),
                "defaults": {RETRY: {"tries": 2, "first_delay": 0}},
            }
        )
        self._register.write_text(yaml.safe_dump({"targets": self._known}))
        return target

    def incident(self, target: dict[str, str], message: str = "", **fields: Any) -> str:
        """Opens an incident by one event and carries it as far as it goes by itself; its id."""
        self.clock.advance(timedelta(seconds=1))
        report = Report.model_validate(
            {"message": message or MESSAGE.format(target["name"]), "target": target, **fields}
        )
        group = Group(self.database, self.clock, lambda opened: None)
        (accepted,) = group.commit([prepare(report, "airflow", self.clock.now())])
        assert accepted.incident_id
        self.heal(accepted.incident_id)
        return accepted.incident_id

    def heal(self, incident_id: str) -> None:
        with self.database.reading() as session:
            episode = incidents.get(session, incident_id).episode
        self._follow(heal(self._durable, self.pipeline, incident_id, episode, f"opened-{episode}"))

    def heal_again(self, incident_id: str) -> None:
        """Resolved and back again: a new episode."""
        self.move(incident_id, State.RESOLVED)
        self.move(incident_id, State.FIRING)
        self.heal(incident_id)

    def answer(self, incident_id: str, given: Answer) -> None:
        """A person answers what waits."""
        self.clock.advance(timedelta(minutes=1))
        with self.database.writing() as session:
            waiting = next(a for a in approve.of_incident(session, incident_id) if a.answer is None)
            approve.answer(session, waiting.id, given, actor="ada", at=self.clock.now())
        self._follow(answered(self._durable, self.pipeline, waiting.id))

    def _follow(self, work: Any) -> None:
        next_: Next = asyncio.run(work)
        if next_.effect is Effect.ACT:
            asyncio.run(repair(self._durable, self.pipeline, next_.remediation_id))

    def move(self, incident_id: str, to: State, actor: str = "ada") -> None:
        self.clock.advance(timedelta(minutes=1))
        with self.database.writing() as session:
            advance(session, incident_id, to, actor=actor, reason="so", at=self.clock.now())

    def label(self, incident_id: str, type_: str) -> None:
        self.clock.advance(timedelta(minutes=1))
        self.learn.correct(incident_id, type_, actor="ada", reason="the log says so")

    def mode(self, mode: Mode, **where: str) -> None:
        setting = ModeSetting(**where, mode=mode, actor="ada", reason="a trial", at=self.clock.now())
        with self.database.writing() as session:
            decisions.set_mode(session, setting)

    def pause(self, paused: bool) -> None:
        turn = decisions.pause if paused else decisions.resume
        with self.database.writing() as session:
            turn(session, actor="ada", reason="audit", at=self.clock.now())

    def decided(self, incident_id: str) -> list[Decision]:
        with self.database.reading() as session:
            return decisions.of_incident(session, incident_id)

    def close(self) -> None:
        self._notify.close()
        self.database.close()


Found = Callable[..., Site]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are fitted once."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def found(tmp_path: Path, jobs: JobServer, models: Path) -> Iterator[Found]:
    """Founds sites and closes them."""
    made: list[Site] = []

    def make(**fields: Any) -> Site:
        made.append(Site(tmp_path, jobs, models, **fields))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def site(found: Found) -> Site:
    return found()
