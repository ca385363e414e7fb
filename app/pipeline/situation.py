"""The situation: all that gates look at, gathered from the rooms' stores in one transaction."""

from datetime import datetime

from sqlmodel import Session

from app.decision import store as decisions
from app.decision.decision import Attempt, Situation
from app.decision.mode import shadowed
from app.decision.plan import Plan, Risk
from app.diagnosis.diagnosis import Diagnosis
from app.incidents.incident import Incident
from app.knowledge.taxonomy import Taxonomy
from app.remediation import store
from app.remediation.plan import ESCALATE
from app.remediation.shadow import judged
from app.systems.targets import RegisteredTarget, Targets


def target_of(incident: Incident, targets: Targets) -> RegisteredTarget | None:
    """The registered target that the incident is about.

    Compared part by part: `db@prod` without an environment has the key of `db` in `prod`, and is another.
    """
    named, found = incident.target, targets.find(incident.target.key)
    if found is None or (named.system, named.kind, named.name, named.environment) != (
        found.system,
        found.kind,
        found.name,
        found.environment,
    ):
        return None
    return found


class Situations:
    """Gathers what gates look at; plans of `shadow_from` and riskier start in shadow."""

    def __init__(self, targets: Targets, taxonomy: Taxonomy, shadow_from: Risk | None = None) -> None:
        self._targets = targets
        self._taxonomy = taxonomy
        self._shadow_from = shadow_from

    def now(
        self,
        session: Session,
        incident: Incident,
        diagnosis: Diagnosis,
        plan: Plan,
        now: datetime,
        *,
        approved_by: str = "",
        approvers: int = 0,
        begun: store.Remediation | None = None,
    ) -> Situation:
        """As it is now; `begun` is the repair itself once it was begun, which is no reason against it."""
        acts, strategy = plan.strategy != ESCALATE, plan.strategy
        place = diagnosis.type, incident.target.environment
        return Situation(
            incident=incident,
            diagnosis=diagnosis,
            plan=plan,
            attempts=tuple(
                attempt
                for attempt in store.attempts(session, now, plan.targets)
                if begun is None or _before(attempt, begun)
            ),
            trials=store.trials(session, strategy) if acts else (),
            judged=tuple(judged(session, self._taxonomy, strategy).get(strategy, ())) if acts else (),
            group=self._targets.group(plan.target),
            groups={other: self._targets.group(other) for other in plan.targets if other != plan.target},
            paused=decisions.current(session),
            approved_by=approved_by,
            approvers=approvers,
            shadow=shadowed(decisions.modes(session), plan, *place, self._shadow_from),
        )


def _before(attempt: Attempt, begun: store.Remediation) -> bool:
    """Repairs that were begun after this one wait for it, unless they have ended already."""
    return attempt.remediation_id != begun.id and (
        attempt.ended is not None or attempt.started_at <= begun.started_at
    )
