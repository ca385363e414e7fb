"""Shadow: what was only recorded, scored by what people then did and how it ended.

A shadow decision is *clean* when the same repair then ran and was verified, or a person said that the
type is one the strategy serves; *wrong* when the same repair ran and did not help, another one helped
instead, a person named a type that it does not serve, or the incident went away before anybody touched
it; *open* until one of these is known. An incident that a person merely resolves stays open: nobody
said what it was. What happened up to the next shadow decision of the same incident counts.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from app.db import read
from app.decision.decision import Decision, Effect
from app.decision.guarantee import Guarantee, Judged, guarantee, upper_bound
from app.decision.plan import Plan
from app.decision.settings import DecisionSettings
from app.decision.tables import DecisionRow
from app.diagnosis.choose import ESCALATE
from app.diagnosis.tables import DiagnosisRow, LabelRow
from app.foundation.record import Record
from app.incidents.incident import State
from app.incidents.tables import IncidentRow, TransitionRow
from app.intake.event import Target
from app.knowledge.taxonomy import Taxonomy
from app.remediation import store
from app.remediation.outcome import Ended
from app.remediation.tables import OutcomeRow, RemediationRow

ASSUMPTION = (
    "hours saved are those from a clean decision to the end of its incident, less all the time that the plan "
    "gives itself (its waits, the time to recover and to settle)"
)
# Who moves incidents without being a person.
_NOBODY = ("source:", "strategy:")


class Score(StrEnum):
    CLEAN = "clean"
    WRONG = "wrong"
    OPEN = "open"


class Shadow(Record):
    """One shadow decision and its score.

    `hours` are those saved, None while the incident is open and for what is not clean. `ran` is whether
    the score is that of the same repair when it ran, which counts by itself.
    """

    decision_id: str
    incident_id: str
    at: datetime
    strategy: str
    target: str
    type: str
    environment: str
    confidence: float
    would: Effect
    score: Score
    says: str
    hours: float | None
    ran: bool


class StrategyShadow(Record):
    """What one strategy would have done. `precision` is the share of clean ones among the scored, at least
    `at_least` at the promise's level (Clopper-Pearson, one-sided); None while nothing is scored.

    `guarantee` is over its real outcomes and these together.
    """

    strategy: str
    decisions: int
    clean: int
    wrong: int
    open: int
    precision: float | None
    at_least: float | None
    hours: float
    guarantee: Guarantee


class ShadowReport(Record):
    """`decisions` are all shadow decisions since, newest first."""

    since: datetime
    strategies: tuple[StrategyShadow, ...]
    decisions: tuple[Shadow, ...]
    assumption: str = ASSUMPTION

    @property
    def wrong(self) -> tuple[Shadow, ...]:
        """The actions that would have been wrong."""
        return tuple(one for one in self.decisions if one.score is Score.WRONG)


class _Fact(NamedTuple):
    """Something that happened to an incident. `strategy` is set for a repair, `type` for a label."""

    at: datetime
    who: str
    strategy: str = ""
    target: str = ""
    ended: Ended | None = None
    type: str = ""
    after: str = ""

    @property
    def by_itself(self) -> bool:
        return not self.strategy and self.who.startswith(_NOBODY)

    @property
    def ends(self) -> bool:
        return self.after == State.RESOLVED


class _Scored(NamedTuple):
    """A shadow decision with its score, and what happened to its incident after it."""

    decision_id: str
    incident_id: str
    strategy: str
    target: str
    type: str
    confidence: float
    later: list[_Fact]
    score: Score
    says: str
    ran: bool


_SHADOWS = (
    columns(
        *(col(field) for field in (DecisionRow.id, DecisionRow.incident_id, DecisionRow.at)),
        *(col(field) for field in (DecisionRow.strategy, IncidentRow.target_key, DiagnosisRow.type)),
        col(DiagnosisRow.confidence),
    )
    .join(DiagnosisRow, col(DiagnosisRow.id) == DecisionRow.diagnosis_id)
    .join(IncidentRow, col(IncidentRow.id) == DecisionRow.incident_id)
    .where(col(DecisionRow.effect) == Effect.SHADOW.value)
    .order_by(col(DecisionRow.at).desc(), col(DecisionRow.id).desc())
)


def _scored(session: Session, taxonomy: Taxonomy, strategy: str = "") -> list[_Scored]:
    """The shadow decisions (of one strategy), newest first; without their bodies, for it is asked often."""
    rows = read.rows(session, _SHADOWS)
    facts = _facts(session) if rows else {}
    until: dict[str, datetime] = {}
    found: list[_Scored] = []
    for id_, incident_id, at, name, target, type_, confidence in rows:
        ends = until.get(incident_id)
        later = [f for f in facts.get(incident_id, ()) if f.at > at and (ends is None or f.at <= ends)]
        until[incident_id] = at
        if strategy in ("", name):
            told = _score(taxonomy, name, target, type_, later)
            found.append(_Scored(id_, incident_id, name, target, type_, confidence, later, *told))
    return found


def shadows(session: Session, taxonomy: Taxonomy) -> list[Shadow]:
    """The shadow decisions, oldest first, scored by what is known by now."""
    scored = _scored(session, taxonomy)
    rows = session.exec(
        select(DecisionRow.id, DecisionRow.body, IncidentRow.target)
        .join(IncidentRow, col(IncidentRow.id) == DecisionRow.incident_id)
        .where(DecisionRow.effect == Effect.SHADOW.value)
    ).all()
    bodies = {id_: (Decision.model_validate_json(body), target) for id_, body, target in rows}
    return [_shadow(one, *bodies[one.decision_id]) for one in reversed(scored)]


def _shadow(one: _Scored, decision: Decision, target: str) -> Shadow:
    return Shadow(
        decision_id=one.decision_id,
        incident_id=one.incident_id,
        at=decision.at,
        strategy=one.strategy,
        target=one.target,
        type=one.type,
        environment=Target.model_validate_json(target).environment,
        confidence=one.confidence,
        would=decision.would,
        score=one.score,
        says=one.says,
        hours=_hours(decision.at, decision.plan, one.later) if one.score is Score.CLEAN else None,
        ran=one.ran,
    )


def _facts(session: Session) -> dict[str, list[_Fact]]:
    """By incident of a shadow decision, what happened to it, in time order."""
    shadowed = select(DecisionRow.incident_id).where(DecisionRow.effect == Effect.SHADOW.value)
    found: dict[str, list[_Fact]] = defaultdict(list)
    for moved in session.exec(
        select(TransitionRow)
        .where(col(TransitionRow.incident_id).in_(shadowed))
        .where(col(TransitionRow.before).is_not(None))
    ):
        found[moved.incident_id].append(_Fact(at=moved.at, who=moved.actor, after=moved.after))
    for label in session.exec(select(LabelRow).where(col(LabelRow.incident_id).in_(shadowed))):
        found[label.incident_id].append(_Fact(at=label.at, who=label.actor, type=label.type))
    repairs = session.exec(
        select(RemediationRow, OutcomeRow.ended, OutcomeRow.at)
        .join(OutcomeRow, col(OutcomeRow.remediation_id) == RemediationRow.id)
        .where(col(RemediationRow.incident_id).in_(shadowed))
        .where(RemediationRow.strategy != ESCALATE)
    )
    for repair, ended, at in repairs:
        who = repair.approved_by or f"strategy:{repair.strategy}"
        fact = _Fact(at=at, who=who, strategy=repair.strategy, target=repair.target, ended=Ended(ended))
        found[repair.incident_id].append(fact)
    for facts in found.values():
        facts.sort(key=lambda fact: fact.at)
    return found


def _score(
    taxonomy: Taxonomy, strategy: str, target: str, type_: str, facts: Sequence[_Fact]
) -> tuple[Score, str, bool]:
    """The score, why, and whether the same repair gave it. A person's word counts more than a repair."""
    score, says, ran = Score.OPEN, "nobody has said or done anything yet", False
    serves = taxonomy.strategies[strategy].serves if strategy in taxonomy.strategies else ()
    touched = said = False
    for fact in facts:
        if fact.type:
            right = fact.type in serves
            score, said, ran = Score.CLEAN if right else Score.WRONG, True, False
            how = "serves" if right else "does not serve"
            says = f"{fact.who} says that it is {fact.type}, which {strategy} {how}"
        elif fact.strategy:
            same = fact.strategy == strategy and fact.target == target
            helped = fact.ended is Ended.VERIFIED
            if not said and (helped or (same and fact.ended in (Ended.UNDONE, Ended.STUCK))):
                score = Score.CLEAN if same and helped else Score.WRONG
                how = "ran and helped" if helped else "ran and did not help"
                says, ran = f"{fact.strategy} {how}", same
        elif fact.ends and fact.by_itself and not touched:
            return Score.WRONG, "it went away before anybody touched it", False
        elif fact.ends and score is Score.OPEN:
            says = f"it was resolved ({fact.who}) and nobody has said what it was, {type_} or something else"
        touched = touched or not fact.by_itself
    return score, says, ran


def _hours(at: datetime, plan: Plan | None, facts: Sequence[_Fact]) -> float | None:
    """The hours that it would have ended sooner, at least 0; None while it has not ended."""
    end = next((fact.at for fact in facts if fact.ends or fact.ended is Ended.VERIFIED), None)
    if end is None or plan is None:
        return None
    own = plan.within + plan.settle + sum(step.after for step in plan.steps)
    return round(max(0.0, (end - at).total_seconds() - own) / 3600, 3)


def judged(session: Session, taxonomy: Taxonomy, strategy: str = "") -> dict[str, list[Judged]]:
    """By strategy (of all, or of one), all that counts for its guarantee: repairs that ran, and scored shadows."""
    found = store.judged(session, strategy)
    for one in _scored(session, taxonomy, strategy):
        # What the same repair showed when it ran is among the outcomes already.
        if one.score is not Score.OPEN and not one.ran:
            right = one.score is Score.CLEAN
            found.setdefault(one.strategy, []).append(Judged(confidence=one.confidence, right=right))
    return found


def shadow_report(
    session: Session, taxonomy: Taxonomy, settings: DecisionSettings, since: datetime
) -> ShadowReport:
    """The shadow decisions since, by strategy; the guarantees are over all time."""
    made = [one for one in shadows(session, taxonomy) if one.at >= since]
    proven = judged(session, taxonomy)
    by_strategy: dict[str, list[Shadow]] = defaultdict(list)
    for one in made:
        by_strategy[one.strategy].append(one)
    return ShadowReport(
        since=since,
        strategies=tuple(
            _of_strategy(name, by_strategy[name], proven.get(name, []), settings)
            for name in sorted(by_strategy)
        ),
        decisions=tuple(made[::-1]),
    )


def _of_strategy(
    name: str, made: Sequence[Shadow], proven: Sequence[Judged], settings: DecisionSettings
) -> StrategyShadow:
    scores = [one.score for one in made]
    clean, wrong = scores.count(Score.CLEAN), scores.count(Score.WRONG)
    scored = clean + wrong
    return StrategyShadow(
        strategy=name,
        decisions=len(made),
        clean=clean,
        wrong=wrong,
        open=scores.count(Score.OPEN),
        precision=round(clean / scored, 4) if scored else None,
        at_least=round(1 - upper_bound(wrong, scored, settings.promise_level), 4) if scored else None,
        hours=round(sum(one.hours or 0 for one in made), 3),
        guarantee=guarantee(proven, settings.act_at, settings.promise, settings.promise_level),
    )
