"""Decide: asks every gate, keeps every verdict, and the strictest wins."""

from collections.abc import Sequence
from datetime import datetime

from app.decision.decision import Allows, Effect, Gate, Situation, Verdict
from app.decision.gates import default_gates
from app.diagnosis.choose import ESCALATE
from app.foundation.logging import log
from app.incidents.incident import OPEN

__all__ = ["Decide", "default_gates"]

_STRICTNESS = tuple(Allows)


class Decide:
    """The gates that run, all of them each time."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        """Raises ValueError without any gate: nothing would stand before an action."""
        if not gates:
            raise ValueError("at least one gate must stand before every action")
        self._gates = tuple(gates)

    def decide(self, situation: Situation, now: datetime) -> tuple[Effect, tuple[Verdict, ...], str]:
        """What happens next, every gate's verdict, and the deciding reason in one sentence.

        Stores nothing. A gate that raises asks, approved or not: it might have blocked.
        """
        verdicts = tuple(self._ask(gate, situation, now) for gate in self._gates)
        strictest = max((verdict.allows for verdict in verdicts), key=_STRICTNESS.index)
        says = _told([verdict for verdict in verdicts if verdict.allows is strictest])
        plan, incident = situation.plan, situation.incident
        if incident.state not in OPEN:
            return Effect.IGNORE, verdicts, f"does nothing: the incident is {incident.state}"
        if plan.strategy == ESCALATE:
            return Effect.ESCALATE, verdicts, f"tells a person: {_why_told(situation)}"
        if strictest is Allows.BLOCK:
            return Effect.ESCALATE, verdicts, f"tells a person and does not act: {says}"
        if strictest is Allows.ASK:
            effect, says = Effect.ASK, f"asks a person first: {says}"
        else:
            how = (
                f": {situation.approved_by} approved it and" if situation.approved_by else " without asking:"
            )
            effect, says = Effect.ACT, f"runs {plan.strategy}{how} no gate objects"
        if situation.shadow:
            says = f"tells a person and does not act: {situation.shadow}; live, it {says}"
            return Effect.SHADOW, verdicts, says
        return effect, verdicts, says

    def _ask(self, gate: Gate, situation: Situation, now: datetime) -> Verdict:
        try:
            return gate.check(situation, now)
        except Exception as error:
            log(__name__).error(
                "gate.failed", gate=gate.id, incident_id=situation.incident.id, exc_info=error
            )
            says = f"the gate {gate.id!r} failed ({type(error).__name__}), so nobody knows what it would say"
            return Verdict(gate=gate.id, allows=Allows.ASK, reason="gate.failed", says=says)


def _told(deciding: Sequence[Verdict]) -> str:
    first, *rest = deciding
    more = f" (and so say {', '.join(verdict.gate for verdict in rest)})" if rest else ""
    return f"{first.says}{more}"


def _why_told(situation: Situation) -> str:
    choices = situation.diagnosis.choices
    because = next((choice.because for choice in choices if choice.strategy == ESCALATE), "")
    return because or "no repair applies"
