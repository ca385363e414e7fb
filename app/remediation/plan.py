"""Plan: from a diagnosis to the first chosen strategy that applies to the target."""

from typing import Any

from pydantic import ValidationError

from app.decision.plan import Plan
from app.diagnosis.diagnosis import Choice, Diagnosis
from app.foundation.logging import log
from app.foundation.record import Record
from app.incidents.incident import Incident
from app.remediation.strategy import NotApplicable, Strategies, Subject
from app.systems.targets import RegisteredTarget

ESCALATE = "escalate_to_human"


class Planned(Record):
    """The plan, and of each strategy that was passed over, why."""

    plan: Plan
    considered: tuple[str, ...]


def subject_of(incident: Incident, type_: str, target: RegisteredTarget | None) -> Subject:
    """What strategies may know of the incident."""
    return Subject(
        incident_id=incident.id, type=type_, run_id=incident.run_id, since=incident.first_seen, target=target
    )


def plan(
    incident: Incident, diagnosis: Diagnosis, target: RegisteredTarget | None, strategies: Strategies
) -> Planned:
    """Asks the chosen strategies in order; the escalation, which always applies, is the last.

    A strategy that the target does not allow, whose parameters are wrong, or that fails while
    planning is passed over with the reason.
    """
    considered: list[str] = []
    for choice in diagnosis.choices:
        made = _try(choice, incident, diagnosis, target, strategies)
        if isinstance(made, Plan):
            return Planned(plan=made, considered=tuple(considered))
        considered.append(f"{choice.strategy}: {made}")
    raise AssertionError("the escalation always applies")


def _try(
    choice: Choice,
    incident: Incident,
    diagnosis: Diagnosis,
    target: RegisteredTarget | None,
    strategies: Strategies,
) -> Plan | str:
    strategy = strategies.get(choice.strategy)
    if strategy is None:
        return "it is not registered here"
    if choice.strategy != ESCALATE:
        if target is None:
            named = incident.target.key or "the event names none"
            return f"the target is not registered ({named})"
        if choice.strategy not in target.allow:
            return f"{target.key} does not allow it"
    try:
        params = strategy.Params.model_validate(merged(choice.params, target, choice.strategy))
        made = strategy.plan(subject_of(incident, diagnosis.type, target), params)
    except ValidationError as error:
        first = error.errors()[0]
        return f"its parameter {'.'.join(map(str, first['loc']))} is wrong: {first['msg']}"
    except Exception as error:
        log(__name__).error("plan.failed", strategy=choice.strategy, incident_id=incident.id, exc_info=error)
        return f"planning failed: {type(error).__name__}: {error}"[:300]
    return made.because if isinstance(made, NotApplicable) else made


def merged(params: dict[str, Any], target: RegisteredTarget | None, strategy: str) -> dict[str, Any]:
    """The runbook's parameters, overruled by what the target's owner registered."""
    return {**params, **(target.defaults.get(strategy, {}) if target else {})}
