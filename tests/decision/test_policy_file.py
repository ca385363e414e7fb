"""The policy file: what its rules match, and what is wrong with a file."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decision.plan import PlannedAction, Risk
from app.decision.policy import Hours, Policy, PolicyFile, When, counted_risk, read_policy
from app.foundation.errors import Invalid
from app.intake.event import Severity
from app.knowledge.playbook import Action
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import Taxonomy, read_taxonomy
from tests.situations import NOW, plan, situation

FRIDAY = datetime(2026, 11, 20, tzinfo=UTC)
ASK_ALL = "rules: [{name: all, then: ask, because: careful}]\n"
NO_RULES = "rules: []\n"


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return read_taxonomy(knowledge_folder() / "taxonomy.yaml")


def at(day: int, clock: str) -> datetime:
    """`day` days after Friday, 20 November 2026, at that time in UTC."""
    hour, minute = clock.split(":")
    return FRIDAY + timedelta(days=day, hours=int(hour), minutes=int(minute))


class TestMatches:
    @pytest.mark.parametrize(
        ("when", "matches"),
        [
            ({}, True),
            ({"type": "network_timeout"}, True),
            ({"type": ["test_failure", "network_*"]}, True),
            ({"type": "test_failure"}, False),
            ({"strategy": "retry_*"}, True),
            ({"strategy": "recover_service"}, False),
            ({"target": "shop/job/*@staging"}, True),
            ({"target": "shop/*"}, True),
            ({"target": "shop/job"}, False),
            ({"system": "shop"}, True),
            ({"system": "sho"}, False),
            ({"environment": "STAGING"}, True),
            ({"environment": ["production", "prod"]}, False),
            ({"environment": ""}, False),
            ({"owner": "dat?"}, True),
            ({"source": "airflow"}, True),
            ({"source": "jenkins"}, False),
            ({"severity": ["critical", "error"]}, True),
            ({"severity": "critical"}, False),
            ({"risk": "low"}, True),
            ({"risk": ["medium", "high"]}, False),
            ({"confidence_below": 0.91}, True),
            ({"confidence_below": 0.9}, False),
            ({"system": "shop", "owner": "payments"}, False),
        ],
    )
    def test_every_matcher_must_fit_and_one_of_a_list_does(self, when: dict[str, Any], matches: bool) -> None:
        assert When.model_validate(when).matches(situation(), NOW) is matches

    def test_no_environment_is_matched_by_the_empty_word(self) -> None:
        assert When.model_validate({"environment": ""}).matches(situation(environment=""), NOW)

    def test_the_target_is_what_failed_and_what_the_plan_acts_on(self) -> None:
        elsewhere = situation(plan=plan(target="shop/table/orders@production"))
        assert When.model_validate({"target": "*@production"}).matches(elsewhere, NOW)
        assert When.model_validate({"target": "*@staging"}).matches(elsewhere, NOW)

    def test_risk_is_the_plans_own_and_the_one_it_counts_as(self) -> None:
        final = situation(risk=Risk.MEDIUM, undo=None)
        assert [r for r in Risk if When(risk=(r,)).matches(final, NOW)] == [Risk.MEDIUM, Risk.HIGH]

    def test_severities_are_those_of_events(self) -> None:
        when = When.model_validate({"severity": "critical"})
        assert when.matches(situation(severity=Severity.CRITICAL), NOW)


class TestHours:
    @pytest.mark.parametrize(
        ("hours", "inside", "outside"),
        [
            ("09:00-17:30", ["09:00", "17:29"], ["08:59", "17:30", "00:00"]),
            ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59", "12:00"]),
            ("18:00-24:00", ["18:00", "23:59"], ["17:59", "00:00"]),
            ("00:00-24:00", ["00:00", "12:00", "23:59"], []),
            (["00:00-01:00", "23:00 - 24:00"], ["00:30", "23:30"], ["01:00", "22:59"]),
        ],
    )
    def test_the_first_minute_is_in_and_the_last_is_not(
        self, hours: object, inside: list[str], outside: list[str]
    ) -> None:
        when = When.model_validate({"hours": hours})
        assert [clock for clock in inside if not when.matches(situation(), at(0, clock))] == []
        assert [clock for clock in outside if when.matches(situation(), at(0, clock))] == []

    def test_they_are_in_utc_whatever_the_zone_of_the_question(self) -> None:
        when = When.model_validate({"hours": "22:00-23:00", "days": "thu"})
        tokyo = timezone(timedelta(hours=9))
        assert when.matches(situation(), at(-1, "22:30").astimezone(tokyo))

    @pytest.mark.parametrize(
        ("day", "clock", "matches"),
        [
            (0, "21:59", False),
            (0, "22:00", True),
            (1, "05:59", True),
            (1, "06:00", False),
            (1, "22:00", False),
            (0, "03:00", False),
        ],
    )
    def test_over_midnight_the_day_is_that_on_which_they_began(
        self, day: int, clock: str, matches: bool
    ) -> None:
        when = When.model_validate({"hours": "22:00-06:00", "days": ["fri"]})
        assert when.matches(situation(), at(day, clock)) is matches

    def test_days_alone_are_whole_days(self) -> None:
        when = When.model_validate({"days": ["sat", "sun"]})
        week = [day for day in range(7) if when.matches(situation(), at(day, "00:00"))]
        assert week == [1, 2]

    @given(first=st.times(), last=st.times(), moment=st.datetimes(timezones=st.just(UTC)))
    def test_a_span_and_its_opposite_share_no_moment_and_miss_none(
        self, first: Any, last: Any, moment: datetime
    ) -> None:
        if first == last or moment.year == 1:
            return
        inside = Hours(after=first, before=last).began(moment) is not None
        assert inside is not (Hours(after=last, before=first).began(moment) is not None)


class TestRead:
    def test_the_shipped_policy_asks_before_production_data_changes_and_nothing_else(
        self, taxonomy: Taxonomy
    ) -> None:
        policy = read_policy(knowledge_folder() / "policy.yaml", taxonomy)

        def asked(strategy: str, environment: str) -> list[str]:
            found = policy.matching(situation(strategy=strategy, environment=environment), NOW)
            return [f"{rule.name} {rule.then}" for rule in found]

        for strategy in taxonomy.strategies:
            changes_data = strategy in ("run_data_validation_and_cleanup", "run_deduplication_script")
            assert asked(strategy, "production") == (["production-data ask"] if changes_data else [])
            assert asked(strategy, "staging") == []

    def test_the_examples_that_are_commented_out_are_right(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        _, rules = (knowledge_folder() / "policy.yaml").read_text().split("rules:\n")
        lines = [line.removeprefix("  # ") if line.startswith("  # ") else "" for line in rules.split("\n")]
        start = next(nth for nth, line in enumerate(lines) if line.startswith("- name"))
        examples = [line for line in lines[start:] if line.startswith(("- name", "  "))]
        file = tmp_path / "policy.yaml"
        file.write_text("\n".join(["rules:", *examples]))
        names = [rule.name for rule in read_policy(file, taxonomy).rules]
        assert names == ["weekend-freeze", "high-risk-in-production", "payments-at-night"]

    @pytest.mark.parametrize(
        ("text", "place", "says"),
        [
            ("", "line 1 (whole file)", "keys with values belong here"),
            ("rules: all\n", "line 1 (rules)", "a list belongs here"),
            ("rule: []\n", "line 1 (rule)", "did you mean 'rules'?"),
            ("rules:\n  - {name: a, then: ask, because: b}\n  bad\n", "line 4", ""),
            ("rules: [{name: a, then: ask}]\n", "line 1 (rules.0.because)", "'because' is missing"),
            (
                "rules:\n- name: a\n  then: deny\n  because: b\n",
                "line 3 (rules.0.then)",
                "known are allow, ask, block",
            ),
            (
                "rules:\n- name: a\n  then: aks\n  because: b\n",
                "line 3 (rules.0.then)",
                "did you mean 'ask'?",
            ),
            (
                "rules:\n- name: a\n  than: ask\n  because: b\n",
                "line 3 (rules.0.than)",
                "did you mean 'then'?",
            ),
            (
                "rules:\n- name: a\n  when:\n    enviroment: prod\n  then: ask\n  because: b\n",
                "line 4 (rules.0.when.enviroment)",
                "did you mean 'environment'?",
            ),
            (
                "rules:\n- name: a\n  when:\n    type: [data_*, netwrk_timeout]\n  then: ask\n  because: b\n",
                "line 4 (rules.0.when.type.1)",
                "no such type: 'netwrk_timeout'; did you mean 'network_timeout'?",
            ),
            (
                "rules:\n- name: a\n  when: {strategy: rerun_jobs}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.strategy.0)",
                "did you mean 'rerun_failed_jobs'?",
            ),
            (
                "rules:\n- name: a\n  when: {strategy: purge_*}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.strategy.0)",
                "no such strategy: 'purge_*'",
            ),
            (
                "rules:\n- name: a\n  when: {days: [mon, tues]}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.days.1)",
                "did you mean 'tue'?",
            ),
            (
                "rules:\n- name: a\n  when: {hours: 22-6}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.hours.0)",
                "write hours as 22:00-06:00, in UTC",
            ),
            (
                "rules:\n- name: a\n  when: {hours: {after: '22:00'}}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.hours.0)",
                "write hours as 22:00-06:00, in UTC",
            ),
            (
                "rules:\n- name: a\n  when: {hours: '06:00-06:00'}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.hours.0)",
                "leave hours out",
            ),
            (
                "rules:\n- name: a\n  when: {environment: []}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.environment)",
                "the list is empty",
            ),
            (
                "rules:\n- name: a\n  when: {environment: no}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.environment.0)",
                "put it in quotes",
            ),
            (
                "rules:\n- name: a\n  when: {confidence_below: 1.5}\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when.confidence_below)",
                "less than or equal to 1",
            ),
            (
                "rules:\n- name: a\n  when:\n  then: ask\n  because: b\n",
                "line 3 (rules.0.when)",
                "keys with values belong here",
            ),
            (
                "rules:\n- {name: a, then: ask, because: b}\n- {name: a, then: ask, because: b}\n",
                "line 3 (rules.1.name)",
                "another one is called 'a' too",
            ),
            (
                "rules:\n- name: a\n  then: block\n  because: b\n  then: allow\n",
                "line 5",
                "'then' stands here a second time",
            ),
            ("rules: &a [*a]\n", "(whole)", ""),
            ("rules: [2026-13-45]\n", "(whole)", ""),
        ],
    )
    def test_a_mistake_is_told_with_its_line_and_the_nearest_right_word(
        self, text: str, place: str, says: str, taxonomy: Taxonomy, tmp_path: Path
    ) -> None:
        file = tmp_path / "policy.yaml"
        file.write_text(text)
        with pytest.raises(Invalid) as caught:
            read_policy(file, taxonomy)
        where, what = caught.value.places[0]
        assert where == place
        assert says in what

    def test_all_mistakes_are_told_at_once(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        file = tmp_path / "policy.yaml"
        file.write_text("rules:\n- {name: a, then: x, because: b}\n- {name: b, then: ask, becuase: c}\n")
        with pytest.raises(Invalid) as caught:
            read_policy(file, taxonomy)
        assert [place for place, _ in caught.value.places] == [
            "line 2 (rules.0.then)",
            "line 3 (rules.1.becuase)",
            "line 3 (rules.1.because)",
        ]

    def test_bytes_that_are_no_text_are_told(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        file = tmp_path / "policy.yaml"
        file.write_bytes(b"rules: [\xff]")
        with pytest.raises(Invalid, match="not UTF-8"):
            read_policy(file, taxonomy)


class TestPolicyFile:
    def test_it_is_read_again_when_it_changes(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        path = tmp_path / "policy.yaml"
        path.write_text(NO_RULES)
        file = PolicyFile(path, taxonomy)
        assert file.read() == Policy(rules=())
        path.write_text(ASK_ALL)
        assert [rule.name for rule in file.read().rules] == ["all"]

    def test_a_change_that_keeps_the_size_is_seen(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        path = tmp_path / "policy.yaml"
        path.write_text(ASK_ALL)
        file = PolicyFile(path, taxonomy)
        file.read()
        path.write_text(ASK_ALL.replace("name: all", "name: eve"))
        os.utime(path, ns=(1, 1))
        assert [rule.name for rule in file.read().rules] == ["eve"]

    def test_it_is_not_read_again_while_it_stays(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        path = tmp_path / "policy.yaml"
        path.write_text(ASK_ALL)
        file = PolicyFile(path, taxonomy)
        assert file.read() is file.read()

    def test_the_version_that_worked_is_not_kept(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        path = tmp_path / "policy.yaml"
        path.write_text(NO_RULES)
        file = PolicyFile(path, taxonomy)
        file.read()
        path.write_text("rules: [")
        for _ in range(2):
            with pytest.raises(Invalid, match="not YAML"):
                file.read()
        path.unlink()
        with pytest.raises(Invalid, match="cannot be read: No such file"):
            file.read()
        path.write_text(NO_RULES)
        assert file.read() == Policy(rules=())

    def test_a_folder_in_its_place_is_told(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="cannot be read"):
            PolicyFile(tmp_path, taxonomy).read()


def test_risk_counts_one_level_higher_without_an_undo() -> None:
    assert [counted_risk(plan(risk=risk, undo=None)) for risk in Risk] == [
        Risk.NONE,
        Risk.MEDIUM,
        Risk.HIGH,
        Risk.HIGH,
    ]
    assert [counted_risk(plan(risk=risk, undo="revert")) for risk in Risk] == list(Risk)


def test_a_rule_on_a_strategy_or_target_also_speaks_of_a_playbook_with_it() -> None:
    inner = plan(strategy="run_deduplication_script", target="shop/table/orders")
    asked = Action(strategy="run_deduplication_script")
    playbook = plan(strategy="playbook:orders", actions=(PlannedAction(number=1, asked=asked, plan=inner),))
    found = situation(plan=playbook)
    for when in (
        {"strategy": "run_deduplication_script"},
        {"strategy": "playbook:*"},
        {"target": "shop/table/*"},
    ):
        assert When.model_validate(when).matches(found, NOW), when
    assert not When.model_validate({"strategy": "recover_service"}).matches(found, NOW)
