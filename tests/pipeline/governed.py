"""A pipeline with every gate over a real database, without the engine: a test takes each step by hand."""

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import yaml

from app.db.engine import Database
from app.decision import store as decisions
from app.decision.decide import Decide, default_gates
from app.decision.freeze import FreezeFile
from app.decision.plan import Plan, Risk
from app.decision.policy import FixedPolicy, Policy
from app.decision.settings import DecisionSettings
from app.diagnosis import store as diagnoses
from app.diagnosis.diagnosis import Choice
from app.foundation.clock import FrozenClock
from app.foundation.ids import derived_id
from app.incidents.group import Group
from app.intake.event import Report, Target
from app.intake.ingest import prepare
from app.knowledge.playbook import Action
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from app.people.directory import DirectoryFile
from app.people.notify import Notify
from app.people.settings import PeopleSettings
from app.pipeline.card import Cards
from app.pipeline.pipeline import Next, Pipeline
from app.pipeline.situation import Situations
from app.pipeline.tell import Telling
from app.remediation import approve
from app.remediation.approve import Answer, Approval
from app.remediation.outcome import Ended
from app.remediation.remediate import Acts
from app.remediation.strategies.escalate_to_human import EscalateToHuman, NoParams
from app.remediation.strategy import Subject
from app.systems.targets import Targets
from app.tables import metadata
from tests import situations

TAXONOMY = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
ESCALATE = EscalateToHuman.id
FREEZE = 'freezes: [{name: now, cron: "* * * * *", lasts: 1h, because: the test says so}]'


class Mend(EscalateToHuman):
    """Plans for the registered target; what it does is up to the test."""

    Params: ClassVar[Any] = NoParams

    def __init__(self, targets: Targets, name: str) -> None:
        self.id = name  # type: ignore[misc]
        self.tries = 3

    def plan(self, subject: Subject, params: NoParams) -> Plan:
        assert subject.target is not None
        target = subject.target.key
        return situations.plan(strategy=self.id, target=target, risk=Risk.LOW, params={"tries": self.tries})


class Governed:
    """One site. `policy` and `settings` as given; every strategy is trusted unless the policy says otherwise."""

    def __init__(
        self, folder: Path, database: Database, policy: Policy, settings: DecisionSettings, entries: list[Any]
    ) -> None:
        self.database = database
        self.clock = FrozenClock(situations.NOW)
        self._freeze = folder / "freeze.yaml"
        self.targets = Targets(folder / "targets.yaml")
        self.targets.path.write_text(yaml.safe_dump({"targets": entries}))
        names = dict.fromkeys(name for entry in entries for name in entry["allow"])
        self._mends = {name: Mend(self.targets, name) for name in names}
        strategies: Any = self._mends | {ESCALATE: EscalateToHuman(self.targets)}
        self.acts = Acts(database, self.clock, strategies, folder / "backups")
        self._notify = Notify(PeopleSettings(), DirectoryFile(folder / "people.yaml"), database, self.clock)
        gates = default_gates(FixedPolicy(policy), settings, FreezeFile(self._freeze, TAXONOMY))
        unused: Any = None
        self.pipeline = Pipeline(
            database,
            self.clock,
            unused,
            Decide(gates),
            strategies,
            self.targets,
            self.acts,
            unused,
            Telling(database, self.clock, self._notify, Cards(database, self.targets, strategies)),
            timedelta(hours=1),
            timedelta(days=30),
            Situations(self.targets, TAXONOMY),
        )
        self._numbers = itertools.count(1)

    def clear(self) -> None:
        """Everything as at the beginning."""
        with self.database.writing() as session:
            for table in reversed(metadata.sorted_tables):
                session.connection().execute(table.delete())
        self._freeze.unlink(missing_ok=True)
        self.clock.advance(situations.NOW - self.clock.now())

    def happen(
        self, target: Target, strategy: str, confidence: float = 0.9, actions: tuple[Action, ...] = ()
    ) -> Next:
        """An event that opens an incident of its own, diagnosed, planned and decided; `actions` of a playbook."""
        number = next(self._numbers)
        report = Report(message=f"it broke, {number}", target=target, fingerprint=str(number))
        (accepted,) = Group(self.database, self.clock, lambda opened: None).commit(
            [prepare(report, "test", self.clock.now())]
        )
        chosen = [
            Choice(
                strategy=name, serves="network_timeout", expected=0.5, success=0.9, because="", actions=does
            )
            for name, does in ((strategy, actions), (ESCALATE, ()))
        ]
        diagnosis = situations.diagnosis(
            id=derived_id("dia", str(number)),
            incident_id=accepted.incident_id,
            at=self.clock.now(),
            confidence=confidence,
            choices=tuple(chosen),
        )
        with self.database.writing() as session:
            diagnoses.add(session, diagnosis)
        return self.pipeline.decide(diagnosis.id, "opened")

    def waiting(self) -> list[Approval]:
        with self.database.reading() as session:
            return approve.waiting(session)

    def answer(self, approval: Approval, actor: str, given: Answer = Answer.APPROVED) -> Next | None:
        """What follows from the answer; None while it needs one more person."""
        with self.database.writing() as session:
            after = approve.answer(session, approval.id, given, actor=actor, at=self.clock.now())
        if after.answer is not Answer.APPROVED:
            return None
        return self.decided(approval.decision_id, approval.id)

    def decided(self, decision_id: str, approval_id: str) -> Next:
        """What the pipeline decides once the question about this decision has its answer."""
        with self.database.reading() as session:
            decision = decisions.get(session, decision_id)
        return self.pipeline.decide(decision.diagnosis_id, approval_id, approval_id)

    def changed(self) -> None:
        """From now on every plan is another one."""
        for mend in self._mends.values():
            mend.tries += 1

    def end(self, remediation_id: str, ended: Ended) -> None:
        self.acts.end(remediation_id, ended, "so it went", "")

    def pause(self, paused: bool) -> None:
        turn = decisions.pause if paused else decisions.resume
        with self.database.writing() as session:
            turn(session, actor="ada", reason="", at=self.clock.now())

    def freeze(self, frozen: bool) -> None:
        if frozen:
            self._freeze.write_text(FREEZE)
        else:
            self._freeze.unlink(missing_ok=True)

    def close(self) -> None:
        self._notify.close()
        self.database.close()


def entry(name: str, *strategies: str, **fields: Any) -> dict[str, Any]:
    """A target in the register."""
    return {
        "system": "shop",
        "kind": "job",
        "name": name,
        "connection": {"type": "http_job", "run": "http://127.0.0.1:1/"},
        "allow": list(strategies),
        **fields,
    }


def named(entry: dict[str, Any]) -> Target:
    """The target of an entry, as an event names it."""
    return Target(**{key: entry[key] for key in ("system", "kind", "name", "environment") if key in entry})
