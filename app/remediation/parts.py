"""Parts: how a plan is cut up for running: by action, and an action by its tries.

Each part has places of its own in the journal, so that the first try of an action and the second do not
meet there. A plan without actions is one part.
"""

from app.decision.plan import Plan
from app.foundation.record import Record
from app.knowledge.playbook import Action


class Part(Record):
    """One try of one action.

    nth     over all actions and tries, from 0: the place of its snapshot and of its undoing.
    first   the place of its first step.
    name    before the names of its steps in the engine, and of its backups; empty without actions.
    """

    nth: int
    first: int
    name: str
    plan: Plan

    def holds(self, place: int) -> bool:
        """Whether a step's place in the journal is one of its own."""
        return self.first <= place < self.first + len(self.plan.steps)


class Turn(Record):
    """One action and the tries that it may take."""

    number: int
    asked: Action
    tries: tuple[Part, ...]


def turns(plan: Plan) -> tuple[Turn, ...]:
    """The plan's actions in order; the same plan gives the same places always."""
    if not plan.actions:
        whole = Part(nth=0, first=0, name="", plan=plan)
        return (Turn(number=1, asked=Action(strategy=plan.strategy), tries=(whole,)),)
    found: list[Turn] = []
    nth = first = 0
    for action in plan.actions:
        tries: list[Part] = []
        for which in range(1, action.asked.retry.times + 2):
            tries.append(Part(nth=nth, first=first, name=f"{action.number}.{which}", plan=action.plan))
            nth += 1
            first += len(action.plan.steps)
        found.append(Turn(number=action.number, asked=action.asked, tries=tuple(tries)))
    return tuple(found)


def parts(plan: Plan) -> tuple[Part, ...]:
    """All tries of all actions, in the order in which they may run."""
    return tuple(part for turn in turns(plan) for part in turn.tries)
