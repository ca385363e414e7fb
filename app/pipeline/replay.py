"""Replay: the decisions of the past made again, under another policy, other thresholds or other models.

Each decision keeps the situation that it was made in, and a gate sees nothing else but its settings and
the time. So under the same settings every decision comes out as it was, and a difference is the change's.
"""

from collections import Counter
from datetime import datetime

from sqlmodel import Session

from app.db.engine import Database
from app.decision import store as decisions
from app.decision.decide import Decide
from app.decision.decision import Allows, Decision, Situation
from app.decision.plan import Risk
from app.diagnosis.choose import ESCALATE
from app.diagnosis.diagnose import Diagnose
from app.foundation.record import Record
from app.incidents import store as incidents
from app.incidents.incident import OPEN, State
from app.learning.learn import newest_label
from app.pipeline.symptom import symptom_of
from app.remediation import store
from app.remediation.outcome import Ended

NOT_PLANNED = "not planned"
_STRICTNESS = tuple(Allows)


class Again(Record):
    """One decision as it was and as it would be; `gate` and `reason` are of the verdict that decides now.

    `would` is an effect, or "not planned": another strategy would be chosen, and no plan was made with
    it at the time. `same` is whether every verdict and every word is as it was.
    """

    decision_id: str
    incident_id: str
    at: datetime
    target: str
    type: str
    strategy: str
    was: str
    would: str
    gate: str = ""
    reason: str = ""
    says: str
    same: bool = False


class Change(Record):
    """A decision that would be another, and how its incident ended."""

    decision: Again
    ended: str


class Count(Record):
    """How many decisions would go from one effect to another, by how their incidents ended."""

    was: str
    would: str
    decisions: int
    ended: dict[str, int]


class Replay(Record):
    """`same` of the `decided` came out alike in every word. `unknown` ones lack their situation: they
    were made before it was kept, or by a version whose situations had other fields.
    """

    since: datetime
    decided: int
    same: int
    unknown: int
    summary: tuple[Count, ...]
    changes: tuple[Change, ...]


def replay(database: Database, decide: Decide, since: datetime, brain: Diagnose | None = None) -> Replay:
    """Every decision made since, made again by these gates; with a `brain` each is diagnosed again first.

    Stores nothing and looks at no target. A brain knows what was learned since, also from these incidents.
    """
    decided = same = unknown = 0
    changes: list[Change] = []
    with database.reading() as session:
        for recorded in decisions.history(session, since):
            if recorded.situation is None:
                unknown += 1
                continue
            before, situation = recorded.decision, recorded.situation
            made = again(
                decide, before, _diagnosed(session, situation, before, brain) if brain else situation
            )
            decided += 1
            same += made.same
            if made.would != made.was or made.strategy != before.strategy:
                changes.append(Change(decision=made, ended=ended(session, before.incident_id)))
    return Replay(
        since=since,
        decided=decided,
        same=same,
        unknown=unknown,
        summary=_summary(changes),
        changes=tuple(changes),
    )


def again(decide: Decide, before: Decision, situation: Situation | None) -> Again:
    """One decision again, at the time at which it was made; None is a situation that cannot be known."""
    if situation is None:
        return Again(
            decision_id=before.id,
            incident_id=before.incident_id,
            at=before.at,
            target=before.plan.target if before.plan else "",
            type="",
            strategy=before.strategy,
            was=before.effect.value,
            would=NOT_PLANNED,
            says="another strategy would be chosen, and no plan was made with it then",
        )
    effect, verdicts, says = decide.decide(situation, before.at)
    deciding = max(verdicts, key=lambda verdict: _STRICTNESS.index(verdict.allows))
    return Again(
        decision_id=before.id,
        incident_id=before.incident_id,
        at=before.at,
        target=situation.plan.target,
        type=situation.diagnosis.type,
        strategy=situation.plan.strategy,
        was=before.effect.value,
        would=effect.value,
        gate=deciding.gate,
        reason=deciding.reason,
        says=says,
        same=(effect, verdicts, says) == (before.effect, before.verdicts, before.says),
    )


def _diagnosed(session: Session, was: Situation, before: Decision, brain: Diagnose) -> Situation | None:
    """The situation with the diagnosis of today, and the plan of then where the same strategy is chosen."""
    symptom = symptom_of(session, before.incident_id)
    diagnosis = brain.diagnose(symptom, before.episode, before.diagnosis_id)
    passed_over = {said.partition(":")[0] for said in before.considered}
    chosen = next(one.strategy for one in diagnosis.choices if one.strategy not in passed_over)
    if chosen == was.plan.strategy:
        return was.model_copy(update={"diagnosis": diagnosis})
    if chosen == ESCALATE:
        told = was.plan.model_copy(update={"strategy": ESCALATE, "risk": Risk.NONE})
        return was.model_copy(update={"diagnosis": diagnosis, "plan": told})
    return None


def ended(session: Session, incident_id: str) -> str:
    """How an incident ended, in two or three words."""
    tried = [one for one in store.outcomes_of(session, incident_id) if one.ended is not Ended.HANDED_OVER]
    incident = incidents.get(session, incident_id)
    if tried:
        how = f"repair {tried[-1].ended}"
    elif incident.state in OPEN:
        how = "still open"
    elif incident.state is State.SUPPRESSED:
        how = "suppressed"
    else:
        by = incidents.transitions(session, incident_id)[-1].actor
        how = "went away" if by.startswith("source:") else "resolved by a person"
    label = newest_label(session, incident_id)
    return f"{how}, said to be {label.type}" if label else how


def _summary(changes: list[Change]) -> tuple[Count, ...]:
    ways = Counter((one.decision.was, one.decision.would) for one in changes)
    return tuple(
        Count(
            was=was,
            would=would,
            decisions=count,
            ended=dict(
                Counter(
                    one.ended for one in changes if (one.decision.was, one.decision.would) == (was, would)
                ).most_common()
            ),
        )
        for (was, would), count in ways.most_common()
    )
