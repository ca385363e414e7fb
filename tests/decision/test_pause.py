"""Pause: a person has stopped everything."""

import pytest

from app.decision.decision import Allows
from app.decision.gates.pause import Pause
from tests.situations import NOW, situation

GATE = Pause(Pause.Params())


def test_nothing_is_held_while_nobody_paused() -> None:
    assert GATE.check(situation(), NOW).allows is Allows.ALLOW


@pytest.mark.parametrize("approved_by", ["", "grace"])
def test_a_pause_blocks_even_what_was_approved_and_says_who_and_why(approved_by: str) -> None:
    verdict = GATE.check(situation(paused="paused by ada: audit", approved_by=approved_by), NOW)
    assert (verdict.allows, verdict.reason) == (Allows.BLOCK, Pause.Reason.PAUSED)
    assert "paused by ada: audit" in verdict.says
