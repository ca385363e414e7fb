"""mendline policy lint and explain."""

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Filled, Mendline

WRONG = """rules:
  - name: one
    when: {enviroment: production}
    then: ask
    because: so
  - name: two
    then: ask
    people: 3
    because: so
"""


class TestLint:
    def test_what_ships_is_right(self, mendline: Mendline) -> None:
        done = mendline("policy", "lint")
        assert (done.code, done.out) == (0, "policy: ok, rules 1, trust 1\nfreezes: ok, 0\n")

    def test_mistakes_are_told_with_line_and_nearest_word(self, mendline: Mendline, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(WRONG)
        done = mendline("policy", "lint", file)
        assert done.code == 1
        assert (
            "line 3 (rules.0.when.enviroment): unknown key 'enviroment'; did you mean 'environment'?"
            in done.err
        )
        assert "line 8 (rules.1.people): Input should be less than or equal to 2" in done.err

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (
                "rules:\n- {name: a, then: allow, people: 2, because: b}\n",
                "people are only asked by a rule that says `then: ask`",
            ),
            (
                "rules: []\ntrust:\n- {name: a, when: {strategy: recover_servce}, because: b}\n",
                "line 3 (trust.0.when.strategy.0): no such strategy: 'recover_servce'; did you mean 'recover_service'",
            ),
            ("rules: []\ntrust:\n- {name: a, then: ask, because: b}\n", "unknown key 'then'"),
        ],
    )
    def test_of_two_people_and_trust_too(
        self, mendline: Mendline, tmp_path: Path, text: str, says: str
    ) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        done = mendline("policy", "lint", file)
        assert (done.code, says in done.err) == (1, True), done.err

    def test_a_file_that_is_not_there_is_told(self, mendline: Mendline, tmp_path: Path) -> None:
        done = mendline("policy", "lint", tmp_path / "none.yaml")
        assert (done.code, "cannot be read: No such file" in done.err) == (1, True)

    def test_freezes_in_force_are_looked_at_too(self, mendline: Mendline, data: Path) -> None:
        mendline("policy", "lint")
        (data / "freeze.yaml").write_text("freezes: [{name: a, cron: x, because: b}]")
        done = mendline("policy", "lint")
        assert (done.code, "'x' is no cron expression" in done.err) == (1, True)


class TestExplain:
    def test_rules_that_match_and_do_not_and_all_gates_as_of_now(
        self, mendline: Mendline, filled: Filled, data: Path
    ) -> None:
        (data / "targets.yaml").write_text(
            "targets: [{system: shop, kind: job, name: nightly-load, environment: staging, owner: data, "
            "connection: {type: http_job, run: 'http://127.0.0.1:1/'}, allow: [retry_with_exponential_backoff]}]"
        )
        (data / "freeze.yaml").write_text(
            'freezes: [{name: always, cron: "* * * * *", lasts: 1h, when: {owner: data}, because: so}]'
        )
        done = mendline("policy", "explain", filled.incident, "--json")
        told = json.loads(done.out)
        rules = {rule["name"]: rule for rule in told["rules"]}
        assert rules["production-data"]["misfits"] == [
            "strategy is 'retry_with_exponential_backoff'",
            "environment is 'staging'",
        ]
        assert (rules["low-risk"]["then"], rules["low-risk"]["misfits"]) == ("trust", [])
        assert (rules["always"]["then"], rules["always"]["misfits"]) == ("freeze", [])
        verdicts = {verdict["gate"]: verdict["allows"] for verdict in told["verdicts"]}
        assert (verdicts["freeze"], verdicts["bands"], verdicts["guarantee"]) == ("block", "ask", "allow")
        assert (told["effect"], told["problems"]) == ("escalate", [])
        shown = mendline("policy", "explain", filled.incident).out
        assert "does not match: strategy is 'retry_with_exponential_backoff'" in shown
        assert "59 more clean outcomes until it may run alone" in shown

    def test_a_policy_that_cannot_be_read_is_told_and_asks(
        self, mendline: Mendline, filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mine.yaml").write_text(WRONG)
        monkeypatch.setenv("MENDLINE_DECISION__POLICY_FILE", str(tmp_path / "mine.yaml"))
        done = mendline("policy", "explain", filled.incident)
        assert (done.code, "line 3 (rules.0.when.enviroment)" in done.out) == (0, True)

    def test_an_incident_that_is_not_there_is_told(self, mendline: Mendline) -> None:
        assert mendline("policy", "explain", "inc_none").code == 1
