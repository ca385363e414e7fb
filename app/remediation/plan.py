"""Plan: from a diagnosis to the first chosen strategy that applies to the target.

A playbook becomes one plan of its actions' plans: all of them are made, and can be read, before the first
one runs. Which target an action acts on comes from the runbook and the register, never from an event.
"""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from app.decision.plan import NOTHING_TO_UNDO, Plan, PlannedAction, Risk, Step
from app.diagnosis.diagnosis import Choice, Diagnosis
from app.foundation.logging import log
from app.foundation.record import Record
from app.incidents.incident import Incident
from app.knowledge.playbook import ESCALATE, Action, OnError
from app.remediation.strategy import NotApplicable, Strategies, Subject
from app.systems.targets import RegisteredTarget

__all__ = ["ESCALATE", "Planned", "plan"]

Find = Callable[[str], RegisteredTarget | None]
_RISKS = tuple(Risk)


class Planned(Record):
    """The plan, and of each strategy that was passed over, why."""

    plan: Plan
    considered: tuple[str, ...]


def subject_of(incident: Incident, type_: str, target: RegisteredTarget | None) -> Subject:
    """What strategies may know of the incident; its run is one of its own target, not of another."""
    own = target is None or target.key == incident.target.key
    return Subject(
        incident_id=incident.id,
        type=type_,
        run_id=incident.run_id if own else "",
        since=incident.first_seen,
        target=target,
    )


def plan(
    incident: Incident,
    diagnosis: Diagnosis,
    target: RegisteredTarget | None,
    strategies: Strategies,
    find: Find = lambda key: None,
) -> Planned:
    """Asks the chosen strategies in order; the escalation, which always applies, is the last.

    A strategy that the target does not allow, whose parameters are wrong, or that fails while
    planning is passed over with the reason. `find` knows the other targets of playbooks by key.
    """
    considered: list[str] = []
    for choice in diagnosis.choices:
        if choice.actions:
            made = _playbook(choice, incident, diagnosis, target, strategies, find)
        else:
            made = _try(choice.strategy, choice.params, incident, diagnosis, target, strategies)
        if isinstance(made, Plan):
            return Planned(plan=made, considered=tuple(considered))
        considered.append(f"{choice.strategy}: {made}")
    raise AssertionError("the escalation always applies")


def _try(
    name: str,
    params: dict[str, Any],
    incident: Incident,
    diagnosis: Diagnosis,
    target: RegisteredTarget | None,
    strategies: Strategies,
) -> Plan | str:
    strategy = strategies.get(name)
    if strategy is None:
        return "it is not registered here"
    if name != ESCALATE:
        if target is None:
            named = incident.target.key or "the event names none"
            return f"the target is not registered ({named})"
        if name not in target.allow:
            return f"{target.key} does not allow it"
    try:
        valid = strategy.Params.model_validate(merged(params, target, name))
        made = strategy.plan(subject_of(incident, diagnosis.type, target), valid)
    except ValidationError as error:
        first = error.errors()[0]
        return f"its parameter {'.'.join(map(str, first['loc']))} is wrong: {first['msg']}"
    except Exception as error:
        log(__name__).error("plan.failed", strategy=name, incident_id=incident.id, exc_info=error)
        return f"planning failed: {type(error).__name__}: {error}"[:300]
    return made.because if isinstance(made, NotApplicable) else made


def _playbook(
    choice: Choice,
    incident: Incident,
    diagnosis: Diagnosis,
    own: RegisteredTarget | None,
    strategies: Strategies,
    find: Find,
) -> Plan | str:
    """The whole playbook, or why it does not apply.

    An action whose condition is not met is left out. One that cannot be planned is left out where a
    failure of it would not matter either (`on_error: continue`); else the playbook does not apply.
    """
    if own is None:
        return f"the target is not registered ({incident.target.key or 'the event names none'})"
    actions: list[PlannedAction] = []
    left_out: list[str] = []
    for number, asked in enumerate(choice.actions, 1):
        why = asked.when.unmet(diagnosis.type, own.environment, diagnosis.confidence)
        if not why:
            target = _target_of(asked, own, find)
            made = (
                target
                if isinstance(target, str)
                else _try(asked.strategy, asked.params, incident, diagnosis, target, strategies)
            )
            if isinstance(made, Plan):
                actions.append(PlannedAction(number=number, asked=asked, plan=made))
                continue
            why = made
            if asked.on_error is not OnError.CONTINUE:
                return f"action {number}, {asked.strategy}: {why}"
        left_out.append(f"action {number} is left out: {why}")
    if not actions:
        return "; ".join(left_out)
    plans = [action.plan for action in actions]
    undo: str | None = NOTHING_TO_UNDO
    if any(made.undo is None for made in plans):
        undo = None
    elif any(made.undoes for made in plans):
        undo = "backwards: " + "; ".join(f"{a.number}. {a.plan.undo}" for a in reversed(actions))
    done = ", then ".join(made.summary for made in plans)
    return Plan(
        strategy=choice.strategy,
        version="1",
        target=own.key,
        params={},
        summary="; ".join([f"{len(actions)} actions: {done}", *left_out]),
        steps=tuple(Step(index=n, says=_says(action, own), does={}) for n, action in enumerate(actions)),
        risk=max((made.risk for made in plans), key=_RISKS.index),
        verify="after each action: " + "; ".join(f"{a.number}. {a.plan.verify}" for a in actions),
        undo=undo,
        within=max(made.within for made in plans),
        settle=max(made.settle for made in plans),
        actions=tuple(actions),
    )


def _target_of(asked: Action, own: RegisteredTarget, find: Find) -> RegisteredTarget | str:
    """The registered target of an action, or why there is none."""
    if not asked.target:
        return own
    found = find(own.partners.get(asked.target, asked.target))
    if found is None:
        return f"the target {asked.target!r} is not registered, nor a partner of {own.key}"
    if found.environment != own.environment:
        return f"{found.key} is in another environment than {own.key}"
    return found


def _says(action: PlannedAction, own: RegisteredTarget) -> str:
    """An action in words, with what may keep it from running and what follows when it fails."""
    asked, made = action.asked, action.plan
    says = [f"action {action.number}, {made.strategy}: {made.summary}"]
    if made.target != own.key:
        says.append(f"on {made.target}")
    says += [f"if action {n} was {' or '.join(wanted)}" for n, wanted in asked.when.results.items()]
    if asked.retry.times:
        says.append(f"tried again up to {asked.retry.times} times, after {asked.retry.wait:g} s")
    if asked.timeout is not None:
        says.append(f"waits {asked.timeout:g} s at most")
    return f"{', '.join(says)}; if it fails: {_FOLLOWS[asked.on_error]}"


_FOLLOWS = {
    OnError.UNDO: "everything is undone",
    OnError.CONTINUE: "it alone is undone, and the next one runs",
    OnError.STOP: "it alone is undone, what was done before stays, and a person is told",
    OnError.ASK: "it alone is undone, and a person is asked whether to undo what was done before",
}


def merged(params: dict[str, Any], target: RegisteredTarget | None, strategy: str) -> dict[str, Any]:
    """The runbook's parameters, overruled by what the target's owner registered."""
    return {**params, **(target.defaults.get(strategy, {}) if target else {})}
