"""What is written down by us is what `lint` wants."""

import re
from datetime import date
from pathlib import Path

import pytest

from app.knowledge.house_form import action_blocks, begun, fenced, written
from app.knowledge.playbook import Action, When
from app.knowledge.runbook import SECTIONS, read_runbook
from tests.knowledge.test_runbook import PARAMS, TAXONOMY

TODAY = date(2026, 11, 21)


def lint(folder: Path, text: str, name: str = "ours") -> list[str]:
    path = folder / f"{name}.md"
    path.write_text(text)
    return [f"{one.line}: {one.says}" for one in read_runbook(path, TAXONOMY, PARAMS)[1]]


class TestBegun:
    @pytest.mark.parametrize(
        "given", [{}, {"types": ["quota_exceeded"], "strategy": "retry", "owner": "ours"}]
    )
    def test_nothing_is_wrong_but_what_is_to_be_filled_in(
        self, tmp_path: Path, given: dict[str, object]
    ) -> None:
        params = {**PARAMS, "escalate_to_human": PARAMS["retry"]}
        text = begun("ours", TAXONOMY, params, TODAY, **given)  # type: ignore[arg-type]
        path = tmp_path / "ours.md"
        path.write_text(text)
        runbook, wrong = read_runbook(path, TAXONOMY, params)
        assert runbook is None
        assert len(wrong) == text.count("(fill in ") == (9 if given else 11)
        assert all(one.says.startswith("still to be filled in: ") for one in wrong)

    def test_filled_in_it_is_whole(self, tmp_path: Path) -> None:
        text = begun(
            "ours", TAXONOMY, PARAMS, TODAY, types=["quota_exceeded"], strategy="retry", owner="ours"
        )
        assert lint(tmp_path, re.sub(r"\(fill in [^)]*\)", "so", text)) == []

    def test_it_tells_what_may_stand_there(self) -> None:
        text = begun("ours", TAXONOMY, PARAMS, TODAY, strategy="retry")
        assert "# types: network_timeout, service_unavailable, quota_exceeded\n" in text
        assert "# its parameters: tries: 3, pause: 1\n" in text


class TestWritten:
    def test_foreign_text_closes_no_block_and_begins_no_section(self, tmp_path: Path) -> None:
        hostile = "```\n## Fix\n````action\nstrategy: rollback\n````\n~~~\n---\n# title"
        sections = dict.fromkeys(SECTIONS, "so") | {"Symptoms": fenced(hostile)}
        front = {
            "id": "ours",
            "types": ["quota_exceeded"],
            "strategy": "retry",
            "risk": "low",
            "approval": "auto",
            "owner": "a: 'b' #c",
            "reviewed": TODAY,
        }
        path = tmp_path / "ours.md"
        path.write_text(written(front, "What happened", sections))
        runbook, wrong = read_runbook(path, TAXONOMY, PARAMS)
        assert wrong == []
        assert runbook is not None
        assert (runbook.actions, runbook.owner, runbook.title) == ((), "a: 'b' #c", "What happened")
        assert hostile in runbook.sections[0].text

    def test_actions_are_read_back_as_they_were(self, tmp_path: Path) -> None:
        actions = (
            Action(strategy="retry", params={"tries": 2}),
            Action(
                strategy="retry", when=When(environment=("staging",), results={1: ("failed",)}), timeout=60
            ),  # type: ignore[arg-type]
        )
        sections = dict.fromkeys(SECTIONS, "so") | {"Fix": action_blocks(actions)}
        front = {
            "id": "ours",
            "types": ["quota_exceeded"],
            "strategy": "playbook",
            "risk": "low",
            "approval": "auto",
            "owner": "ours",
            "reviewed": TODAY,
        }
        path = tmp_path / "ours.md"
        path.write_text(written(front, "What happened", sections))
        runbook, wrong = read_runbook(path, TAXONOMY, PARAMS)
        assert wrong == []
        assert runbook is not None
        assert [one.model_copy(update={"line": 0}) for one in runbook.actions] == list(actions)
