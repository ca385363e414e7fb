"""A runbook from what was solved, which lints clean whatever the event said."""

import re
from datetime import date
from pathlib import Path

import pytest

from app.decision.decision import Decision, Effect
from app.decision.plan import Plan, PlannedAction, Step
from app.diagnosis.diagnosis import Choice, Diagnosis, Finding
from app.foundation.errors import Conflict
from app.incidents.incident import Incident, State, Transition
from app.knowledge.playbook import Action
from app.knowledge.runbook import Runbook, read_runbook
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from app.learning.learn import Label
from app.pipeline.draft import draft, draft_name
from app.pipeline.trail import Repair, Trail
from app.remediation.outcome import Ended, Outcome
from app.remediation.store import Remediation
from app.remediation.strategies import STRATEGIES
from app.remediation.undo import Undo
from app.systems.targets import Targets
from tests import situations
from tests.situations import NOW, RETRY

TAXONOMY = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
STRATEGY = {one.id: one(Targets(Path("none"))) for one in STRATEGIES}
PARAMS = {name: one.Params for name, one in STRATEGY.items()}


def repair(plan: Plan, approvers: int = 0, undo: Undo | None = None) -> Repair:
    fields = {"incident_id": "inc_1", "strategy": plan.strategy, "target": plan.target}
    return Repair(
        remediation=Remediation(
            id="rem_1",
            decision_id="dec_1",
            approved_by="ada",
            approvers=approvers,
            started_at=NOW,
            plan=plan,
            **fields,
        ),
        journal=(),
        outcome=Outcome(
            remediation_id="rem_1",
            ended=Ended.VERIFIED,
            at=NOW,
            says="the run succeeded",
            undone="",
            **fields,
        ),
        undo=undo,
    )


def trail(
    *repairs: Repair,
    incident: Incident | None = None,
    diagnosis: Diagnosis | None = None,
    label: Label | None = None,
    actor: str = "ada",
) -> Trail:
    found = incident or situations.incident(state=State.RESOLVED)
    made = diagnosis or situations.diagnosis()
    decision = Decision(
        id="dec_1", incident_id=found.id, episode=1, diagnosis_id=made.id, at=NOW, effect=Effect.ACT,
        strategy=RETRY, plan=None, verdicts=(), says="",
    )  # fmt: skip
    last = Transition(
        incident_id=found.id,
        at=NOW,
        actor=actor,
        before=State.FIRING,
        after=State.RESOLVED,
        reason="freed the port",
    )
    return Trail(
        told=(),
        incident=found,
        events=(),
        transitions=(last,),
        diagnoses=(made,),
        decisions=(decision,),
        approvals=(),
        repairs=repairs,
        label=label,
        paused="",
    )


def drafted(folder: Path, found: Trail, *cases: str) -> tuple[Runbook, str]:
    """The draft as a runbook, which lints clean, and its text."""
    text = draft(found, cases, STRATEGY, TAXONOMY, "ours", date(2026, 11, 21))
    path = folder / "ours.md"
    path.write_text(text)
    runbook, wrong = read_runbook(path, TAXONOMY, PARAMS)
    assert [str(one) for one in wrong] == []
    assert runbook is not None
    return runbook, text


def test_the_strategy_and_the_parameters_that_worked_and_the_case(tmp_path: Path) -> None:
    plan = situations.plan(params={"tries": 5, "first_delay": 1})
    found, text = drafted(tmp_path, trail(repair(plan)), "case_1")
    assert (found.strategy, found.params["tries"], found.approval) == (RETRY, 5, "auto")
    assert (found.types, found.owner) == (("network_timeout",), "data")
    seen = found.section("seen-in")
    assert seen is not None
    assert seen.text.startswith("- `case_1`: shop/job/nightly-load@staging, ")
    assert "connection to db timed out" in found.sections[0].text
    assert found.signals == ("connection to db timed out",)
    assert "It did: the run succeeded." in text


@pytest.mark.parametrize(("approvers", "approval"), [(1, "one_person"), (2, "two_people"), (3, "two_people")])
def test_what_people_said_yes_to_asks_again(tmp_path: Path, approvers: int, approval: str) -> None:
    found, _ = drafted(tmp_path, trail(repair(situations.plan(params={}), approvers)))
    assert found.approval == approval


def test_a_playbook_with_its_actions(tmp_path: Path) -> None:
    action = Action(strategy=RETRY, params={"tries": 2})
    inner = situations.plan()
    plan = situations.plan(
        strategy="playbook:x",
        params={},
        steps=(Step(index=0, says="action 1", does={}),),
        actions=(PlannedAction(number=1, asked=action, plan=inner),),
    )
    choice = Choice(
        strategy="playbook:x",
        serves="network_timeout",
        expected=0.8,
        success=0.9,
        because="",
        actions=(action,),
    )
    diagnosis = situations.diagnosis(choices=(choice,))
    found, _ = drafted(tmp_path, trail(repair(plan), diagnosis=diagnosis))
    assert found.strategy == "playbook"
    assert [(one.strategy, one.params) for one in found.actions] == [(RETRY, {"tries": 2})]


def test_what_a_person_did_is_no_strategys_work(tmp_path: Path) -> None:
    found, text = drafted(tmp_path, trail())
    assert found.strategy == "escalate_to_human"
    assert "1. By hand, as ada did: freed the port" in text


def test_a_repair_that_was_taken_back_did_not_work(tmp_path: Path) -> None:
    taken_back = Undo(remediation_id="rem_1", actor="ada", reason="", asked_at=NOW, done=True)
    found, _ = drafted(tmp_path, trail(repair(situations.plan(), undo=taken_back)))
    assert found.strategy == "escalate_to_human"


def test_the_type_is_what_a_person_said(tmp_path: Path) -> None:
    label = Label(type="quota_exceeded", actor="ada", reason="")
    found, text = drafted(tmp_path, trail(label=label))
    assert found.types == ("quota_exceeded",)
    assert "It was diagnosed as `network_timeout`" in text


def test_only_voices_for_the_type_are_repeated(tmp_path: Path) -> None:
    said = [
        Finding(scorer="a@1", scores={"network_timeout": 0.9}, contributes=True, hint="words like timed out"),
        Finding(scorer="b@1", scores={"data_drift": 0.9}, contributes=True, hint="looks like drift"),
        Finding(scorer="c@1", scores={}, contributes=False, hint="nothing to say"),
    ]
    _, text = drafted(tmp_path, trail(diagnosis=situations.diagnosis(findings=tuple(said))))
    assert "words like timed out" in text
    assert "drift" not in text
    assert "nothing to say" not in text


@pytest.mark.parametrize(
    "message",
    [
        "```action\nstrategy: recover_service\n```\n## Fix\n---\nboom",
        "~~~\n# title\n````\n(fill in x) (fill in y)",
        "id: x\nstrategy: rollback_model # \x1b[31m\u202e boom and more of it (.*+?[]{}|^$\\",
        "a" * 5000,
        "- 'x: [y\n" * 40,
        "!!python/object:os.system 'id' and then it failed with a long enough message",
        "",
    ],
)
def test_nothing_that_an_event_says_becomes_anything_but_quoted_text(tmp_path: Path, message: str) -> None:
    incident = situations.incident(
        state=State.RESOLVED, title=message[:200], message=message or "x", template=message
    )
    found, _ = drafted(tmp_path, trail(incident=incident, diagnosis=situations.diagnosis(excerpt=message)))
    assert (found.strategy, found.actions) == ("escalate_to_human", ())
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", draft_name(trail(incident=incident)))


def test_a_secret_is_not_written_down(tmp_path: Path) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    excerpt = f"403 access denied for aws_access_key_id={key} in eu-central-1"
    _, text = drafted(tmp_path, trail(diagnosis=situations.diagnosis(excerpt=excerpt)))
    assert key not in text
    assert "403 access denied" in text


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (trail(incident=situations.incident()), "is firing; a runbook is drafted from one that was solved"),
        (trail(diagnosis=situations.diagnosis(type="unknown_error")), "say it: mendline correct"),
        (trail(actor="source:airflow"), "went away by itself"),
        (trail().model_copy(update={"diagnoses": ()}), "was never diagnosed"),
    ],
)
def test_what_teaches_nothing_is_refused(tmp_path: Path, found: Trail, says: str) -> None:
    with pytest.raises(Conflict, match=says):
        draft(found, (), STRATEGY, TAXONOMY, "ours", date(2026, 11, 21))
