"""mode, shadow report, policy replay: what a person types and sees."""

import json
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.decision import store as decisions
from app.decision.decision import Effect
from app.foundation.clock import SystemClock
from app.incidents.incident import State
from app.incidents.lifecycle import advance
from tests import situations
from tests.commands.conftest import Filled, Mendline

RETRY = situations.RETRY
BLOCK = "rules: [{name: never, when: {system: shop}, then: block, because: it is the test}]\n"


@pytest.fixture
def shadowed(data: Path, filled: Filled) -> Filled:
    """The incident, decided once more in shadow, with all that it was decided on."""
    database = Database(sqlite_url(data / "mendline.db"))
    with database.writing() as session:
        before = decisions.get(session, "dec_1")
        case = situations.situation(shadow="in shadow by ada", confidence=0.62, paused="")
        after = before.model_copy(update={"id": "dec_2", "effect": Effect.SHADOW})
        decisions.add(session, after, case)
    database.close()
    return filled


class TestMode:
    def test_it_is_set_shown_and_taken_back(self, mendline: Mendline) -> None:
        assert "everything else is live" in mendline("mode").out
        assert mendline("mode", "shadow", "--reason", "a trial").code == 0
        done = mendline("mode", RETRY, "live", "--environment", "staging")
        first, second = [line for line in done.out.splitlines() if "cli" in line]
        assert all(word in first for word in ("every", "shadow", "a trial"))
        assert all(word in second for word in (RETRY, "staging", "live"))
        mendline("mode", "default")
        (left,) = json.loads(mendline("mode", "--json").out)
        assert (left["strategy"], left["environment"], left["mode"]) == (RETRY, "staging", "live")
        assert left["actor"].startswith("cli")

    def test_strategies_are_listed_with_it(self, mendline: Mendline) -> None:
        mendline("mode", "shadow", "--environment", "production")
        (line,) = [line for line in mendline("strategy", "list").out.splitlines() if RETRY in line]
        assert "live, shadow in production" in line

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("dark",), "one of live, shadow, default"),
            ((RETRY, "recover_service", "shadow"), "no mode"),
            (("prayer", "shadow"), "there is no strategy 'prayer'"),
            (("shadow", "--type", "gremlins"), "there is no type 'gremlins'"),
        ],
    )
    def test_what_makes_no_sense_is_told(self, mendline: Mendline, words: tuple[str, ...], says: str) -> None:
        done = mendline("mode", *words)
        assert done.code == 1
        assert says in done.err
        assert json.loads(mendline("mode", "--json").out) == []

    def test_where_everything_starts_in_shadow(
        self, mendline: Mendline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MENDLINE_DECISION__SHADOW_FROM_RISK", "medium")
        assert "from medium risk on in shadow" in mendline("mode").out
        monkeypatch.setenv("MENDLINE_DECISION__SHADOW_FROM_RISK", "")
        assert "in shadow" not in mendline("mode").out


class TestReport:
    def test_open_until_somebody_says_what_it_was(self, mendline: Mendline, shadowed: Filled) -> None:
        done = mendline("shadow", "report")
        assert "nothing scored" in done.out
        assert "1 open; say what an incident was" in done.out
        assert "59 more clean outcomes" in done.out

    def test_wrong_ones_are_listed_with_links(
        self, mendline: Mendline, shadowed: Filled, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MENDLINE_PEOPLE__URL", "https://mendline.test")
        database = Database(sqlite_url(data / "mendline.db"))
        with database.writing() as session:
            at = SystemClock().now()
            advance(
                session, shadowed.incident, State.RESOLVED, actor="source:airflow", reason="it runs", at=at
            )
        database.close()
        done = mendline("shadow", "report")
        assert "would be wrong" in done.out
        assert f"https://mendline.test/incidents/{shadowed.incident}" in done.out
        assert "0%, at least 0%" in done.out

    def test_as_json(self, mendline: Mendline, shadowed: Filled) -> None:
        found = json.loads(mendline("shadow", "report", "--since", "1d", "--json").out)
        (one,) = found["decisions"]
        assert (one["incident_id"], one["score"], one["would"]) == (shadowed.incident, "open", "ask")

    @pytest.mark.parametrize("since", ["soon", "-1d", "0d", "d", "9999999w", "3m"])
    def test_a_time_that_is_none(self, mendline: Mendline, since: str) -> None:
        done = mendline("shadow", "report", f"--since={since}")
        assert (done.code, "write 12h, 30d or 8w" in done.err) == (1, True)


class TestReplay:
    def test_nothing_changes_under_the_same_policy(self, mendline: Mendline, shadowed: Filled) -> None:
        done = mendline("policy", "replay")
        assert "1 decided again, 0 of them otherwise" in done.out
        assert "1 more cannot be decided again" in done.out

    def test_what_another_policy_would_change(
        self, mendline: Mendline, shadowed: Filled, tmp_path: Path
    ) -> None:
        file = tmp_path / "changed.yaml"
        file.write_text(BLOCK)
        done = mendline("policy", "replay", file)
        assert "shadow -> escalate" in done.out
        assert "policy (policy.blocks)" in done.out
        assert "it ended: still open" in done.out
        found = json.loads(mendline("policy", "replay", file, "--since", "8w", "--json").out)
        assert [(one["was"], one["would"], one["ended"]) for one in found["summary"]] == [
            ("shadow", "escalate", {"still open": 1})
        ]

    def test_a_file_that_is_no_policy(self, mendline: Mendline, tmp_path: Path) -> None:
        file = tmp_path / "changed.yaml"
        assert mendline("policy", "replay", file).code == 1
        file.write_text(BLOCK.replace("block", "stop"))
        done = mendline("policy", "replay", file)
        assert (done.code, "line 1" in done.err) == (1, True)

    @pytest.mark.parametrize("words", [("--act-at", "2"), ("--ask-at", "0.9", "--act-at", "0.8")])
    def test_thresholds_that_make_no_sense(self, mendline: Mendline, words: tuple[str, ...]) -> None:
        done = mendline("policy", "replay", *words)
        assert (done.code, "the thresholds are not valid" in done.err) == (1, True)
