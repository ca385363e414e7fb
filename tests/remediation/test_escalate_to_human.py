"""Escalate to human: always a plan, whoever there is to tell."""

from pathlib import Path

from app.remediation.strategies.escalate_to_human import EscalateToHuman, NoParams
from app.remediation.strategy import Subject, Verified
from tests.doubles import only, register


def test_it_names_the_owner_where_there_is_one(tmp_path: Path) -> None:
    targets = register(tmp_path, {"type": "http_job", "run": "http://127.0.0.1:1/"})
    strategy = EscalateToHuman(targets)
    known = strategy.plan(Subject(incident_id="i", type="t", target=only(targets)), NoParams())
    unknown = strategy.plan(Subject(incident_id="i", type="unknown_error"), NoParams())
    assert known.summary == "tell data, with the evidence and the reasons"
    assert (unknown.summary, unknown.target) == (
        "tell the people on call, with the evidence and the reasons",
        "",
    )


def test_a_person_was_told_is_all_there_is_to_verify(tmp_path: Path) -> None:
    strategy = EscalateToHuman(register(tmp_path, {"type": "http_job", "run": "http://127.0.0.1:1/"}))
    plan = strategy.plan(Subject(incident_id="i", type="t"), NoParams())
    receipt = strategy.execute(plan, plan.steps[0], "k", strategy.snapshot(plan, tmp_path))
    assert strategy.verify(plan, [receipt]) == Verified(says="a person was told")
