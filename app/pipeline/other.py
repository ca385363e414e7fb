"""Other: the strategy that a person asked for in place of the one that was planned."""

from sqlmodel import Session

from app.diagnosis.diagnosis import Choice, Diagnosis
from app.foundation.ids import derived_id
from app.remediation import approve
from app.remediation.approve import Approval
from app.remediation.plan import ESCALATE


def decision_id_of(diagnosis_id: str, origin: str) -> str:
    """The id of what is decided on a diagnosis; `origin` is what led to it: an opening, or an answered approval."""
    return derived_id("dec", diagnosis_id, origin)


def as_chosen(session: Session, diagnosis: Diagnosis, approval: Approval) -> Diagnosis:
    """The diagnosis with the strategy alone that a person chose; as it is where nobody did.

    Chosen by this answer, or by an earlier one from which this question came: the plan that is made again
    once it has its yes must be the one that was asked about.
    """
    before = {
        decision_id_of(diagnosis.id, one.id): one
        for one in approve.of_incident(session, approval.incident_id)
    }
    answer: Approval | None = approval
    while answer is not None and not answer.other:
        answer = before.get(answer.decision_id)
    return diagnosis if answer is None else _only(diagnosis, answer.other, f"{answer.actor} chose it")


def _only(diagnosis: Diagnosis, strategy: str, because: str) -> Diagnosis:
    """Where the strategy does not apply after all, a person is told, as always."""
    told = next(choice for choice in diagnosis.choices if choice.strategy == ESCALATE)
    chosen = next((choice for choice in diagnosis.choices if choice.strategy == strategy), None) or Choice(
        strategy=strategy, serves=diagnosis.type, expected=0, success=0, because=because
    )
    chosen = chosen.model_copy(update={"because": because})
    return diagnosis.model_copy(update={"choices": (chosen,) if strategy == ESCALATE else (chosen, told)})
