"""The same input gives the same decision, always; a changed policy gives what it changes and nothing else."""

import base64
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.decision import store as decisions
from app.decision.decide import Decide, default_gates
from app.decision.decision import Effect
from app.decision.freeze import NoFreeze
from app.decision.mode import Mode
from app.decision.policy import FixedPolicy, Policy, PolicyFile, Rule
from app.decision.settings import DecisionSettings
from app.diagnosis.choose import ESCALATE
from app.diagnosis.diagnosis import Choice, Diagnosis
from app.pipeline.replay import NOT_PLANNED, Replay, replay
from app.remediation.approve import Answer
from tests.diagnosis import small
from tests.doubles import JobServer
from tests.pipeline.conftest import Site
from tests.pipeline.decided import POLICY, decided
from tests.situations import NOW, diagnosis

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Site]:
    """A site with a history of every kind of decision; tests only read it."""
    with JobServer().running() as jobs:
        site = Site(tmp_path_factory.mktemp("lived"), jobs, models)
        live(site)
        yield site
        site.close()


def live(site: Site) -> None:
    """One decision of every kind, and more."""
    orders = site.job("orders")
    site.incident(orders)
    site.clock.advance(timedelta(hours=7))  # the same repair sooner would be one too many
    site.jobs.fail = 100
    site.incident(orders, "connection to orders timed out after 30 s, once more")  # does not help
    site.jobs.fail = 0
    site.incident(orders, "read timed out: no answer from orders")  # the same repair again
    for number, answer in enumerate((Answer.APPROVED, Answer.DENIED)):
        site.answer(site.incident(site.job(f"asked-{number}", "ask")), answer)
    site.incident(site.job("icy", "frozen"))
    site.incident(site.job("nobody", allow=()))
    site.incident(site.job("billing"), "something went wrong in billing")  # unknown
    site.pause(True)
    site.incident(site.job("payments"))
    site.pause(False)
    site.mode(Mode.SHADOW, environment="staging")
    shadowed = site.incident(site.job("stock", "staging"))
    site.label(shadowed, "permission_denied")
    site.heal_again(shadowed)


class Reads:
    """Models that read the same type in everything."""

    def __init__(self, type_: str, strategy: str) -> None:
        choice = Choice(strategy=strategy, serves=type_, expected=0, success=1, because="so")
        self._diagnosis = diagnosis(type=type_, choices=(choice,))

    def diagnose(self, *_: Any) -> Diagnosis:
        return self._diagnosis


def again(site: Site, policy: Policy, settings: DecisionSettings | None = None, brain: Any = None) -> Replay:
    decide = Decide(default_gates(FixedPolicy(policy), settings or DecisionSettings(), NoFreeze()))
    return replay(site.database, decide, NOW, brain)


@pytest.fixture
def policy() -> Policy:
    """The one in force."""
    return PolicyFile(POLICY, small.taxonomy()).read()


class TestSameInputSameDecision:
    def test_all_of_a_history_again(self, lived: Site, policy: Policy) -> None:
        found = again(lived, policy)
        assert (found.decided, found.same, found.unknown, found.changes) == (12, 12, 0, ())
        with lived.database.reading() as session:
            effects = {one.decision.effect for one in decisions.history(session, NOW)}
        assert effects == {Effect.ACT, Effect.ASK, Effect.ESCALATE, Effect.SHADOW}

    def test_in_another_process_byte_for_byte(self, lived: Site) -> None:
        with lived.database.reading() as session:
            recorded = b"".join(
                decided(one.decision.effect, one.decision.verdicts, one.decision.says)
                for one in decisions.history(session, NOW)
            )
        ran = subprocess.run(
            [sys.executable, "-m", "tests.pipeline.decided", str(lived.folder / "mendline.db")],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "1"},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert ran.stdout == recorded

    def test_what_gates_see_holds_no_text_of_an_event(self, lived: Site) -> None:
        with lived.database.reading() as session:
            seen = [one.situation for one in decisions.history(session, NOW)]
        texts = [
            (s.incident.title, s.incident.message, s.incident.template, s.incident.why) for s in seen if s
        ]
        assert set(texts) == {("", "", "", ())}

    def test_what_is_kept_is_small(self, lived: Site) -> None:
        with lived.database.reading() as session:
            rows = session.connection().exec_driver_sql("SELECT length(situation) FROM decision").all()
        assert max(size for (size,) in rows) < 2_000

    def test_a_decision_of_before_is_unknown(self, site: Site, policy: Policy) -> None:
        site.incident(site.job("orders"))
        of_another_version = base64.b64encode(zlib.compress(b"{}")).decode()
        for kept in ("NULL", "'damaged'", f"'{of_another_version}'"):
            with site.database.writing() as session:
                session.connection().exec_driver_sql(f"UPDATE decision SET situation = {kept}")
            found = again(site, policy)
            assert (found.decided, found.unknown) == (0, 1)


class TestWhatWouldChange:
    def test_a_stricter_policy(self, lived: Site, policy: Policy) -> None:
        rule = {
            "name": "never",
            "when": {"target": "shop/job/orders"},
            "then": "block",
            "because": "the test",
        }
        changed = policy.model_copy(update={"rules": (*policy.rules, Rule.model_validate(rule))})
        found = again(lived, changed)
        assert [(one.decision.was, one.decision.would) for one in found.changes] == [("act", "escalate")] * 2
        first, second = found.changes
        assert (first.decision.gate, first.decision.reason) == ("policy", "policy.blocks")
        assert (first.ended, second.ended) == ("repair verified", "repair undone")
        (count,) = found.summary
        assert (count.was, count.would, count.decisions) == ("act", "escalate", 2)
        assert count.ended == {"repair verified": 1, "repair undone": 1}
        # What was blocked by another gate is blocked, with one more reason.
        assert found.same == found.decided - 3

    def test_a_milder_policy(self, lived: Site, policy: Policy) -> None:
        found = again(lived, Policy(rules=(), trust=policy.trust))
        ways = [(one.decision.was, one.decision.would) for one in found.changes]
        assert sorted(ways) == [("ask", "act"), ("ask", "act"), ("escalate", "act")]

    def test_other_thresholds(self, lived: Site, policy: Policy) -> None:
        found = again(lived, policy, DecisionSettings(act_at=1, ask_at=0.5))
        assert {(one.decision.was, one.decision.would) for one in found.changes} == {("act", "ask")}
        assert all(one.decision.reason == "bands.likely" for one in found.changes)

    def test_since(self, lived: Site, policy: Policy) -> None:
        decide = Decide(default_gates(FixedPolicy(policy), DecisionSettings(), NoFreeze()))
        assert replay(lived.database, decide, NOW + timedelta(days=1)).decided == 0

    def test_models_that_read_it_otherwise(self, lived: Site, policy: Policy) -> None:
        found = again(lived, policy, brain=Reads("permission_denied", ESCALATE))
        # The strategy does not serve what they read, so a person would be told, by whatever it was held.
        assert {one.decision.would for one in found.changes} == {"escalate"}
        assert {one.decision.type for one in found.changes} == {"permission_denied"}
        shadowed = [one.ended for one in found.changes if one.decision.was == "shadow"]
        assert shadowed == ["still open, said to be permission_denied"] * 2
        assert len(found.changes) == found.decided - 2  # who was told already

    def test_models_that_would_choose_what_was_not_planned(self, lived: Site, policy: Policy) -> None:
        found = again(lived, policy, brain=Reads("data_duplication", "run_deduplication_script"))
        assert {one.decision.would for one in found.changes} == {NOT_PLANNED}
        assert all("no plan was made with it then" in one.decision.says for one in found.changes)

    def test_models_of_now_that_read_it_alike(self, lived: Site, policy: Policy) -> None:
        assert again(lived, policy, brain=lived.brain).changes == ()
