"""The plan: in words and as data, exactly what a repair will do. What people approve.

It stands here and not in `remediation` because a decision is about a plan, and a room
knows only what is to its left.
"""

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

import orjson
from pydantic import Field

from app.foundation.record import Record
from app.knowledge.playbook import Action

NOTHING_TO_UNDO = "nothing to undo"


class Risk(StrEnum):
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Step(Record):
    """One action. `says` is for people, `does` is all that `execute` needs; no secrets in either.

    `after` is how long to wait before it, in seconds. With `within`, a step of a sequence is verified before
    the next one: so many seconds it has, and when they pass in vain, all is undone.
    """

    index: int = Field(ge=0)
    says: str
    does: dict[str, Any]
    after: float = Field(0, ge=0, le=3600)
    within: float = Field(0, ge=0, le=86_400)


class Plan(Record):
    """What will happen, in order, how it is verified and how it is undone.

    order     "sequence": every step runs, then the result is verified.
              "ladder": after each step the result is verified; the first success ends it.
    within    seconds in which the signal must recover after a step.
    settle    seconds for which it must then hold.
    undo      in words; None when nothing can be taken back, which raises the risk.
    actions   of a playbook, in order; each has a plan of its own, and `steps` names one for each.
    """

    strategy: str
    version: str
    target: str
    params: dict[str, Any]
    summary: str
    steps: tuple[Step, ...] = Field(min_length=1, max_length=20)
    order: Literal["sequence", "ladder"] = "sequence"
    risk: Risk
    verify: str
    undo: str | None
    within: float = Field(30, ge=0, le=86_400)
    settle: float = Field(1, ge=0, le=86_400)

    # Left out when there are none, so that a plan that waits for approval keeps its hash.
    actions: tuple["PlannedAction", ...] = Field((), exclude_if=lambda actions: not actions)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """The engine keeps plans of repairs under way; one of an earlier version lacks what came later."""
        super().__setstate__({**state, "__dict__": {"actions": (), **state["__dict__"]}})

    @cached_property
    def hash(self) -> str:
        """Sixteen hex characters over everything above; approval is bound to it."""
        text = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:16]

    @property
    def undoes(self) -> bool:
        """Whether undoing would change anything."""
        return self.undo is not None and self.undo != NOTHING_TO_UNDO

    @property
    def strategies(self) -> tuple[str, ...]:
        """Its own name and, for a playbook, the strategies of its actions: what rules speak of."""
        return (self.strategy, *(action.plan.strategy for action in self.actions))

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target that it acts on, its own first."""
        return tuple(dict.fromkeys([self.target, *(action.plan.target for action in self.actions)]))

    @property
    def deeds(self) -> tuple[tuple[str, str], ...]:
        """What it does with which target: its own strategy and target, then those of a playbook's actions."""
        return ((self.strategy, self.target), *((a.plan.strategy, a.plan.target) for a in self.actions))


class PlannedAction(Record):
    """One action of a playbook: its number in the runbook, what the runbook asks, and what will be done."""

    number: int = Field(ge=1)
    asked: Action
    plan: Plan
