"""A playbook before the limits: each of its actions counts, and each is looked at as if it were alone."""

from datetime import timedelta
from typing import Any

import pytest

from app.decision.decision import Allows, Attempt, Situation, Verdict
from app.decision.gates.blast_radius import BlastRadius
from app.decision.gates.cap import Cap
from app.decision.gates.cooldown import Cooldown
from app.decision.gates.repeated import Repeated
from tests.situations import NOW, RETRY, TARGET, attempt, playbook, situation

OWN, TABLE = TARGET.key, "shop/table/orders@staging"
OTHER, ELSE = "shop/job/other@staging", "shop/job/else@staging"
CLEAN = "run_deduplication_script"
NIGHTLY = "playbook:nightly"
PLAN = playbook((RETRY, OWN), (CLEAN, TABLE))
GATES: dict[str, Any] = {
    "cooldown": Cooldown(Cooldown.Params(most=2)),
    "cap": Cap(Cap.Params(per_strategy=2, per_target=2, per_site=10)),
    "repeated": Repeated(Repeated.Params()),
    "blast": BlastRadius(BlastRadius.Params()),
}


def ran(minutes_ago: float, *actions: tuple[str, str], **fields: Any) -> Attempt:
    """A playbook that ran, on its own target unless the fields say otherwise."""
    return attempt(minutes_ago, **{"strategy": NIGHTLY, "actions": actions} | fields)


def check(gate: str, *attempts: Attempt, **fields: Any) -> Verdict:
    found: Verdict = GATES[gate].check(situation(attempts=attempts, **fields), NOW)
    return found


class TestToBegin:
    """What single repairs did before holds a playbook back of which one action would be held back."""

    @pytest.mark.parametrize(
        ("gate", "attempts", "reason"),
        [
            ("cooldown", [attempt(5, target=TABLE), attempt(9, target=TABLE)], "cooldown.recently_tried"),
            ("cap", [attempt(50, target=TABLE, strategy="recover_service")] * 2, "cap.target"),
            ("cap", [attempt(50, strategy=CLEAN, target=OTHER)] * 2, "cap.strategy"),
            ("repeated", [attempt(90, strategy=CLEAN, target=TABLE)], "repeated.again"),
            ("repeated", [attempt(90, target=TABLE), attempt(99, target=TABLE)], "repeated.chain"),
            ("repeated", [attempt(90)], "repeated.again"),
        ],
    )
    def test_each_action_is_looked_at(self, gate: str, attempts: list[Attempt], reason: str) -> None:
        verdict = check(gate, *attempts, plan=PLAN)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, reason)
        assert verdict.until is not None
        assert verdict.until > NOW
        elsewhere = playbook((RETRY, ELSE), target=ELSE, strategy="playbook:else")
        assert check(gate, *attempts, plan=elsewhere).allows is Allows.ALLOW

    def test_its_own_actions_are_no_reason_against_it(self) -> None:
        many = playbook(*[(RETRY, OWN)] * 5)
        assert all(check(gate, plan=many).allows is Allows.ALLOW for gate in GATES)

    def test_the_latest_hold_is_told(self) -> None:
        verdict = check("repeated", attempt(300), attempt(60, strategy=CLEAN, target=TABLE), plan=PLAN)
        assert verdict.until == NOW + timedelta(hours=5)
        assert CLEAN in verdict.says

    def test_the_group_of_each_target_counts(self) -> None:
        tables = (TABLE, "shop/table/a", "shop/table/b", "shop/table/c")
        busy = [attempt(1, target=table, ended=None) for table in tables[1:3]]
        assert check("blast", *busy, plan=PLAN).allows is Allows.ALLOW  # nobody knows the group
        held = check("blast", *busy, plan=PLAN, groups={TABLE: tables})
        assert (held.allows, held.reason) == (Allows.BLOCK, "blast_radius.many")
        assert check("blast", busy[0], plan=PLAN, groups={TABLE: tables}).allows is Allows.ALLOW


class TestAfterwards:
    """What a playbook did counts when a single repair is decided."""

    @pytest.mark.parametrize(
        ("gate", "before", "reason"),
        [
            ("cooldown", [ran(5, (CLEAN, OWN), (CLEAN, OWN), target=OTHER)], "cooldown.recently_tried"),
            ("cooldown", [ran(5, (CLEAN, OWN), target=OTHER), attempt(9)], "cooldown.recently_tried"),
            ("cap", [ran(50, (CLEAN, OWN), (CLEAN, OWN), target=OTHER)], "cap.target"),
            ("cap", [ran(50, (RETRY, TABLE), (RETRY, OTHER), target=OTHER)], "cap.strategy"),
            ("repeated", [ran(90, (CLEAN, TABLE), (RETRY, OWN), target=OTHER)], "repeated.again"),
            ("repeated", [ran(90, (CLEAN, OWN), target=OTHER)] * 2, "repeated.chain"),
        ],
    )
    def test_its_actions_count(self, gate: str, before: list[Attempt], reason: str) -> None:
        verdict = check(gate, *before)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, reason)
        assert check(gate, *(one.model_copy(update={"actions": ()}) for one in before)).allows is Allows.ALLOW

    def test_a_strategy_on_another_target_is_no_repeat(self) -> None:
        assert check("repeated", ran(90, (CLEAN, OWN), (RETRY, TABLE))).allows is Allows.ALLOW

    def test_in_a_chain_it_is_one_link(self) -> None:
        assert check("repeated", ran(90, (CLEAN, OWN), ("recover_service", OWN))).allows is Allows.ALLOW

    def test_one_that_never_started_counts_for_nothing(self) -> None:
        stopped = ran(5, (RETRY, OWN), (RETRY, OWN), ended="stopped")
        assert all(check(gate, stopped, stopped).allows is Allows.ALLOW for gate in GATES)

    def test_while_it_runs_each_of_its_targets_is_under_repair(self) -> None:
        group = (OWN, TABLE, OTHER, ELSE)
        under_way = ran(1, (RETRY, OTHER), (CLEAN, TABLE), target=OTHER, ended=None)
        held = check("blast", under_way, group=group)
        assert held.allows is Allows.BLOCK
        assert held.says.endswith(f"{OTHER}, {TABLE}")

    def test_in_all_it_is_one_repair(self) -> None:
        gate = Cap(Cap.Params(per_site=2))
        one = ran(5, (CLEAN, TABLE), (CLEAN, OTHER), target=OTHER)
        assert gate.check(situation(attempts=(one,)), NOW).allows is Allows.ALLOW
        assert gate.check(situation(attempts=(one, one)), NOW).reason == "cap.site"


class TestRecorded:
    def test_what_was_recorded_before_is_read(self) -> None:
        now = situation(attempts=(attempt(5),), plan=PLAN)
        told = now.model_dump(mode="json")
        assert "groups" not in told
        assert "actions" not in told["attempts"][0]
        assert Situation.model_validate(told) == now

    def test_what_is_recorded_now_comes_back(self) -> None:
        now = situation(attempts=(ran(5, (CLEAN, TABLE)),), groups={TABLE: (TABLE,)}, plan=PLAN)
        assert Situation.model_validate_json(now.model_dump_json()) == now
