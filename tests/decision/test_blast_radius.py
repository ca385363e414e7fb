"""Blast radius: a share of a group at once, and at least one."""

import pytest

from app.decision.decision import Allows, Situation
from app.decision.gates.blast_radius import BlastRadius
from tests.situations import NOW, TARGET, attempt, situation

GROUP = (TARGET.key, *(f"shop/job/{n}" for n in range(9)))


def busy(count: int, size: int = 10, **fields: object) -> Situation:
    under_way = tuple(attempt(1, target=GROUP[1 + n], ended=None) for n in range(count))
    return situation(attempts=under_way, group=GROUP[:size], **fields)


@pytest.mark.parametrize(
    ("share", "size", "most"),
    [(0.5, 10, 5), (0.5, 3, 1), (0.5, 1, 1), (0.01, 10, 1), (0.3, 10, 3), (1, 10, 10)],
)
def test_so_many_of_the_group_at_once(share: float, size: int, most: int) -> None:
    gate = BlastRadius(BlastRadius.Params(share=share))
    assert gate.check(busy(most - 1, size), NOW).allows is Allows.ALLOW
    if most < size:
        verdict = gate.check(busy(most, size), NOW)
        assert (verdict.allows, verdict.reason) == (Allows.BLOCK, BlastRadius.Reason.MANY)
        assert f"{most} of the {size} targets of its group are under repair" in verdict.says


GATE = BlastRadius(BlastRadius.Params(share=0.1))


def test_what_has_ended_is_of_another_group_or_the_target_itself_does_not_count() -> None:
    others = (attempt(1, target=GROUP[1]), attempt(1, target="x/y/z", ended=None), attempt(1, ended=None))
    assert GATE.check(situation(attempts=others, group=GROUP), NOW).allows is Allows.ALLOW


def test_one_target_counts_once() -> None:
    twice = (attempt(1, target=GROUP[1], ended=None), attempt(2, target=GROUP[1], ended=None))
    gate = BlastRadius(BlastRadius.Params(share=0.2))
    assert gate.check(situation(attempts=twice, group=GROUP), NOW).allows is Allows.ALLOW


def test_an_approval_does_not_pass_it() -> None:
    assert GATE.check(busy(1, approved_by="ada"), NOW).allows is Allows.BLOCK
