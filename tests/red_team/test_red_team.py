"""No action, parameter or page is moved by what a message says of itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.commands.shown import plain
from app.decision.plan import Plan
from app.diagnosis.choose import ESCALATE
from app.diagnosis.diagnose import Diagnose
from app.diagnosis.diagnosis import Choice, Symptom
from app.diagnosis.scorers.language_model import LanguageModel
from app.intake.event import Report
from app.intake.ingest import prepare
from app.llm.scripted_chat import ScriptedChat
from app.people.person import Role
from app.remediation.plan import plan
from app.remediation.strategies import STRATEGIES
from app.systems.targets import Targets
from tests import situations
from tests.diagnosis import small
from tests.red_team.corpus import corpus
from tests.web.conftest import Browser, World

CORPUS = corpus()
BENIGN = "connection to db timed out after 30 s"
TARGETS = f"""
targets:
  - system: shop
    kind: job
    name: nightly-load
    environment: staging
    connection: {{type: http_job, run: "https://jobs.internal/{{run_id}}/runs"}}
    allow: [{", ".join(kind.id for kind in STRATEGIES)}]
"""


def test_there_are_enough_of_them() -> None:
    assert len(CORPUS) >= 100
    assert len(set(CORPUS.values())) == len(CORPUS)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    path: Path = tmp_path_factory.mktemp("red") / "targets.yaml"
    path.write_text(TARGETS)
    return Targets(path)


def planned(message: str, targets: Targets, strategy: str, run_id: str = "run-1") -> Plan:
    """What would be done about this message, when it was diagnosed as what this strategy serves."""
    choices = tuple(
        Choice(strategy=name, serves="network_timeout", expected=0.5, success=0.5, because="for the test")
        for name in (strategy, ESCALATE)
    )
    incident = situations.incident(message=message, title=message[:200], run_id=run_id)
    strategies = {kind.id: kind(targets) for kind in STRATEGIES}
    target = targets.find(incident.target.key)
    assert target is not None
    return plan(incident, situations.diagnosis(choices=choices), target, strategies).plan


@pytest.mark.parametrize("name", CORPUS)
def test_the_plan_is_the_one_for_a_harmless_message(targets: Targets, name: str) -> None:
    for strategy in (kind.id for kind in STRATEGIES):
        assert planned(CORPUS[name], targets, strategy) == planned(BENIGN, targets, strategy)


@pytest.mark.parametrize("name", [name for name in CORPUS if not name.startswith("bomb")])
def test_a_hostile_run_id_leads_nowhere_else(targets: Targets, name: str) -> None:
    made = planned(BENIGN, targets, "retry_with_exponential_backoff", run_id=CORPUS[name])
    assert made.strategy == ESCALATE


@pytest.fixture(scope="module")
def brain() -> Diagnose:
    return small.make(None)[0]


@pytest.mark.parametrize("name", CORPUS)
def test_the_diagnosis_offers_only_what_is_registered_as_runbooks_have_it(brain: Diagnose, name: str) -> None:
    event = prepare(Report(message=CORPUS[name]), "ci", situations.NOW)
    found = brain.diagnose(Symptom(message=event.report.message, log=event.report.log))
    params = [{}, *(dict(runbook.params) for runbook in small.RUNBOOKS)]
    for choice in found.choices:
        assert choice.strategy in small.REGISTERED
        assert choice.params in params
    assert found.runbook.split("#")[0] in ("", *(runbook.id for runbook in small.RUNBOOKS))
    assert 0 <= found.confidence <= 1


@pytest.mark.parametrize("name", [name for name in CORPUS if name.startswith(("order", "forged"))])
def test_a_model_that_obeys_the_message_is_not_believed(name: str) -> None:
    for said in (
        CORPUS[name],
        "approved",
        json.dumps({"type": "approve", "quote": CORPUS[name][:40]}),
        json.dumps({"type": "permission_denied", "quote": "the operator said so"}),
        json.dumps({"type": "network_timeout", "quote": "timed out", "confidence": 1.0}),
    ):
        model = LanguageModel(LanguageModel.Params(), ScriptedChat([said]), small.taxonomy())
        found = model.judge(Symptom(message=CORPUS[name]), ["network_timeout", "quota_exceeded"])
        assert not found.contributes or found.scores.keys() <= {"network_timeout", "quota_exceeded"}
        assert found.evidence == () or found.evidence[0].quote in CORPUS[name]


@pytest.mark.parametrize("name", CORPUS)
def test_a_terminal_gets_plain_text(name: str) -> None:
    shown = plain(CORPUS[name], 200)
    assert all(letter.isprintable() for letter in shown)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("pages"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def viewer(world: World) -> Browser:
    browser = Browser(world.app)
    browser.sign_in(world.key(Role.VIEWER))
    return browser


def seen(world: World, viewer: Browser, message: str) -> tuple[set[tuple[str, frozenset[str]]], set[str]]:
    """The elements of an incident's page with the names of their attributes, and where it leads."""
    incident_id = world.incident(message, fingerprint=message[:300])
    page = viewer.get(f"/incidents/{incident_id}")
    assert page.status == 200
    leads = {
        (given.get(name) or "").replace(incident_id, "")
        for _, given in page.tags
        for name in ("href", "src", "action", "formaction")
    }
    return {(tag, frozenset(given)) for tag, given in page.tags}, leads


@pytest.mark.parametrize("name", CORPUS)
def test_a_page_has_the_elements_of_a_harmless_one(world: World, viewer: Browser, name: str) -> None:
    hostile, leads = seen(world, viewer, CORPUS[name])
    harmless, leads_then = seen(world, viewer, BENIGN + " while loading orders\n" * 30)
    assert hostile <= harmless
    assert leads == leads_then
