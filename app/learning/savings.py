"""Savings: the time and the cost of people that repairs saved, under assumptions that people set.

A repair counts when its outcome is known: what was verified saves the minutes that a person would have needed for
such an incident; what did not help and was undone, what a person had undone, and what was done for a type that a
person says is wrong costs as many. Repairs that were handed over or stopped, and telling a person, count nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field
from sqlmodel import Session, col, select

from app.decision.mode import check_names
from app.decision.tables import DecisionRow
from app.diagnosis.choose import ESCALATE
from app.diagnosis.tables import DiagnosisRow, LabelRow
from app.foundation.record import Record
from app.incidents.tables import IncidentRow
from app.knowledge.taxonomy import Taxonomy
from app.learning.tables import SavingAssumptionRow
from app.remediation.outcome import Ended
from app.remediation.tables import OutcomeRow, RemediationRow, UndoRow

_ENDS = (Ended.VERIFIED, Ended.UNDONE, Ended.STUCK)


class Minutes(Record):
    """Minutes of a person per incident that this strategy repairs and that is of this type; empty fits any.

    Without `minutes` it is taken back.
    """

    strategy: str = Field("", max_length=200)
    type: str = Field("", max_length=200)
    minutes: float | None = Field(None, ge=0, le=100_000)
    actor: str = ""
    at: datetime | None = None
    reason: str = ""


class Cost(Record):
    """What an hour of a person costs."""

    hourly: float = Field(60, ge=0, le=1_000_000)
    currency: str = Field("EUR", min_length=1, max_length=10)
    actor: str = ""
    at: datetime | None = None
    reason: str = ""


class Assumptions(Record):
    """What is in force, who set it and when; without an actor it is as shipped: half an hour, at 60 an hour."""

    minutes: tuple[Minutes, ...] = (Minutes(minutes=30),)
    cost: Cost = Cost()

    def minutes_of(self, strategy: str, type_: str) -> float:
        """Of those that fit, the one that names most; the type's before the strategy's."""
        fitting = [o for o in self.minutes if o.strategy in ("", strategy) and o.type in ("", type_)]
        return max(fitting, key=lambda one: (bool(one.type), bool(one.strategy))).minutes or 0.0


class Counted(StrEnum):
    """CLEAN saves; UNDONE (it did not help, or a person had it undone) and WRONG (the type was) cost."""

    CLEAN = "clean"
    UNDONE = "undone"
    WRONG = "wrong"


class Saving(Record):
    """One repair. `minutes` and `cost` are below zero where it cost more than it saved."""

    remediation_id: str
    incident_id: str
    title: str
    at: datetime
    strategy: str
    type: str
    counted: Counted
    minutes: float
    cost: float


class StrategySavings(Record):
    """The sum of one strategy."""

    strategy: str
    clean: int
    undone: int
    wrong: int
    minutes: float
    cost: float


class Savings(Record):
    """`incidents`: each repair, newest first; all times in minutes."""

    since: datetime
    minutes: float
    cost: float
    strategies: tuple[StrategySavings, ...]
    incidents: tuple[Saving, ...]
    assumptions: Assumptions


def assumptions(session: Session) -> Assumptions:
    """The newest of each."""
    shipped = Assumptions()
    minutes = {("", ""): shipped.minutes[0]}
    cost = shipped.cost
    for row in session.exec(select(SavingAssumptionRow).order_by(col(SavingAssumptionRow.id))):
        told: dict[str, Any] = {"actor": row.actor, "at": row.at, "reason": row.reason}
        if row.hourly_cost is not None:
            cost = Cost(hourly=row.hourly_cost, currency=row.currency, **told)
        elif row.minutes is not None:
            minutes[row.strategy, row.type] = Minutes(
                strategy=row.strategy, type=row.type, minutes=row.minutes, **told
            )
        else:
            minutes.pop((row.strategy, row.type), None)
            minutes.setdefault(("", ""), shipped.minutes[0])
    return Assumptions(minutes=tuple(minutes[key] for key in sorted(minutes)), cost=cost)


def assume(session: Session, taxonomy: Taxonomy, told: Minutes | Cost, *, actor: str, at: datetime) -> None:
    """Sets an assumption; raises Invalid for a strategy or a type that does not exist."""
    row = SavingAssumptionRow(at=at, actor=actor, reason=told.reason)
    if isinstance(told, Cost):
        row.hourly_cost, row.currency = told.hourly, told.currency
    else:
        check_names(taxonomy, told.strategy, told.type)
        row.strategy, row.type, row.minutes = told.strategy, told.type, told.minutes
    session.add(row)


def savings(session: Session, taxonomy: Taxonomy, since: datetime) -> Savings:
    """What repairs that ended since then saved."""
    assumed = assumptions(session)
    made = tuple(_savings(session, taxonomy, assumed, since))
    by_strategy: dict[str, list[Saving]] = defaultdict(list)
    for one in made:
        by_strategy[one.strategy].append(one)
    sums = [_sum(name, some) for name, some in by_strategy.items()]
    return Savings(
        since=since,
        minutes=round(sum(one.minutes for one in made), 1),
        cost=round(sum(one.cost for one in made), 2),
        strategies=tuple(sorted(sums, key=lambda one: (-one.minutes, one.strategy))),
        incidents=made,
        assumptions=assumed,
    )


def _savings(session: Session, taxonomy: Taxonomy, assumed: Assumptions, since: datetime) -> Iterable[Saving]:
    columns = (OutcomeRow.remediation_id, OutcomeRow.incident_id, OutcomeRow.at, OutcomeRow.strategy)
    rows = session.exec(
        select(  # type: ignore[call-overload]
            *columns, OutcomeRow.ended, IncidentRow.title, DiagnosisRow.type, UndoRow.remediation_id
        )
        .join(RemediationRow, col(RemediationRow.id) == OutcomeRow.remediation_id)
        .join(DecisionRow, col(DecisionRow.id) == RemediationRow.decision_id)
        .join(DiagnosisRow, col(DiagnosisRow.id) == DecisionRow.diagnosis_id)
        .join(IncidentRow, col(IncidentRow.id) == OutcomeRow.incident_id)
        .outerjoin(UndoRow, col(UndoRow.remediation_id) == OutcomeRow.remediation_id)
        .where(col(OutcomeRow.at) >= since)
        .where(col(OutcomeRow.ended).in_([ended.value for ended in _ENDS]))
        .where(OutcomeRow.strategy != ESCALATE)
        .order_by(col(OutcomeRow.at).desc(), col(OutcomeRow.remediation_id))
    ).all()
    said = _labels(session, {row[1] for row in rows})
    for remediation_id, incident_id, at, strategy, ended, title, type_, undone in rows:
        right = said.get(incident_id, type_)
        counted = Counted.CLEAN
        if undone is not None or Ended(ended) is not Ended.VERIFIED:
            counted = Counted.UNDONE
        elif right != type_ and right not in _serves(taxonomy, strategy):
            counted = Counted.WRONG
        minutes = assumed.minutes_of(strategy, right) * (1 if counted is Counted.CLEAN else -1)
        yield Saving(
            remediation_id=remediation_id,
            incident_id=incident_id,
            title=title,
            at=at,
            strategy=strategy,
            type=right,
            counted=counted,
            minutes=minutes,
            cost=round(minutes / 60 * assumed.cost.hourly, 2),
        )


def _labels(session: Session, incident_ids: set[str]) -> dict[str, str]:
    """What people said last of those incidents."""
    rows = session.exec(
        select(LabelRow.incident_id, LabelRow.type).order_by(col(LabelRow.at), col(LabelRow.id))
    )
    return {incident_id: type_ for incident_id, type_ in rows if incident_id in incident_ids}


def _serves(taxonomy: Taxonomy, strategy: str) -> Sequence[str]:
    entry = taxonomy.strategies.get(strategy)
    return entry.serves if entry else ()


def _sum(strategy: str, some: Sequence[Saving]) -> StrategySavings:
    counts = [one.counted for one in some]
    return StrategySavings(
        strategy=strategy,
        clean=counts.count(Counted.CLEAN),
        undone=counts.count(Counted.UNDONE),
        wrong=counts.count(Counted.WRONG),
        minutes=round(sum(one.minutes for one in some), 1),
        cost=round(sum(one.cost for one in some), 2),
    )
