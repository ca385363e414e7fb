"""Valid incidents, diagnoses, plans and situations for tests; each takes the fields that matter there.

`situations()` is the hypothesis strategy: any situation that the records allow.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from app.decision.decision import Attempt, Situation
from app.decision.guarantee import Judged
from app.decision.plan import Plan, PlannedAction, Risk, Step
from app.diagnosis.choose import ESCALATE
from app.diagnosis.diagnosis import UNKNOWN, Choice, Diagnosis, Ranked
from app.incidents.incident import Incident, Reason, State
from app.intake.event import Severity, Target
from app.knowledge.playbook import Action

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
RETRY = "retry_with_exponential_backoff"
# As many as the default promise takes.
PROVEN = (Judged(confidence=0.9, right=True),) * 59
TARGET = Target(system="shop", kind="job", name="nightly-load", environment="staging", owner="data")


def incident(**fields: Any) -> Incident:
    """A job that ran into a time-out, firing."""
    return Incident(
        **{
            "id": "inc_1",
            "group_key": "grp_1",
            "state": State.FIRING,
            "episode": 1,
            "title": "connection timed out",
            "message": "connection to db timed out after 30 s",
            "template": "connection to <host> timed out after <number> s",
            "severity": Severity.ERROR,
            "target": TARGET,
            "source": "airflow",
            "job_id": "nightly-load",
            "run_id": "run-1",
            "events": 1,
            "first_seen": NOW - timedelta(minutes=1),
            "last_seen": NOW - timedelta(minutes=1),
            "why": (Reason(grouper="template@1", contributes=True, hint="the same template"),),
        }
        | fields
    )


def diagnosis(**fields: Any) -> Diagnosis:
    """A network time-out, surely, to be retried."""
    type_ = fields.get("type", "network_timeout")
    return Diagnosis(
        **{
            "id": "dia_1",
            "incident_id": "inc_1",
            "episode": 1,
            "at": NOW,
            "type": type_,
            "confidence": 0.9,
            "ranked": (Ranked(type=type_, probability=0.9),),
            "choices": (
                Choice(strategy=RETRY, serves=type_, expected=0.8, success=0.9, because="it often helps"),
                Choice(
                    strategy=ESCALATE,
                    serves=type_,
                    expected=0,
                    success=1,
                    because="when nothing better can be done, a person is told",
                ),
            ),
            "excerpt": "connection to db timed out",
            "findings": (),
            "scorer_set": "set-1",
            "milliseconds": 5.0,
        }
        | fields
    )


def plan(**fields: Any) -> Plan:
    """A retry of low risk."""
    return Plan(
        **{
            "strategy": RETRY,
            "version": "1",
            "target": TARGET.key,
            "params": {"tries": 3},
            "summary": "runs nightly-load again, at most 3 times",
            "steps": (Step(index=0, says="runs it again after 1 s", does={"wait": 1}),),
            "order": "ladder",
            "risk": Risk.LOW,
            "verify": "the job succeeds",
            "undo": "nothing to undo",
        }
        | fields
    )


def playbook(*deeds: tuple[str, str], **fields: Any) -> Plan:
    """The plan of a playbook whose actions have these strategies and targets."""
    actions = tuple(
        PlannedAction(
            number=number, asked=Action(strategy=strategy), plan=plan(strategy=strategy, target=target)
        )
        for number, (strategy, target) in enumerate(deeds, 1)
    )
    return plan(**{"strategy": "playbook:nightly", "actions": actions} | fields)


def escalation(**fields: Any) -> Plan:
    """The plan that only tells a person."""
    return plan(**{"strategy": ESCALATE, "target": "", "risk": Risk.NONE, "summary": "tells data"} | fields)


def attempt(minutes_ago: float = 5, **fields: Any) -> Attempt:
    """A repair like `plan()`, begun so many minutes before NOW, that helped."""
    return Attempt(
        **{
            "remediation_id": "rem_1",
            "incident_id": "inc_0",
            "target": TARGET.key,
            "strategy": RETRY,
            "started_at": NOW - timedelta(minutes=minutes_ago),
            "ended": "verified",
        }
        | fields
    )


def situation(**fields: Any) -> Situation:
    """One that every gate allows, unless `fields` say otherwise.

    Fields of the target (`environment`, `owner`…), `confidence` and `type`, `risk`, `undo` and
    `strategy` may be given directly.
    """
    place = {key: fields.pop(key) for key in Target.model_fields if key in fields}
    found = {key: fields.pop(key) for key in ("type", "confidence") if key in fields}
    planned = {key: fields.pop(key) for key in ("strategy", "risk", "undo") if key in fields}
    told = {key: fields.pop(key) for key in ("state", "severity", "source") if key in fields}
    target = TARGET.model_copy(update=place)
    return Situation(
        **{
            "incident": incident(target=target, **told),
            "diagnosis": diagnosis(**found),
            "plan": plan(target=target.key, **planned),
            "judged": PROVEN,
            "group": (target.key,),
        }
        | fields
    )


_STRATEGIES = st.sampled_from([RETRY, "run_deduplication_script", "rollback_deployment", ESCALATE])
_NAMES = st.sampled_from(["", "shop", "production", "Data", "a*b[", "ü"])
_TARGETS = st.builds(Target, system=_NAMES, kind=_NAMES, name=_NAMES, environment=_NAMES, owner=_NAMES)
_KEYS = st.sampled_from(["", TARGET.key, "shop/table/orders@production"])
_DEEDS = st.tuples(_STRATEGIES.filter(lambda name: name != ESCALATE), _KEYS)
# Some lie in the future: clocks jump back.
TIMES = st.datetimes(datetime(2026, 11, 18), datetime(2026, 11, 22), timezones=st.just(UTC))  # noqa: DTZ001


def attempts() -> st.SearchStrategy[Attempt]:
    """Any attempt of the days around NOW."""
    return st.builds(
        Attempt,
        target=_KEYS,
        strategy=_STRATEGIES,
        started_at=TIMES,
        ended=st.sampled_from([None, "verified", "undone", "stuck", "handed_over", "stopped"]),
        actions=st.just(()) | st.lists(_DEEDS, max_size=3).map(tuple),
    )


def situations() -> st.SearchStrategy[Situation]:
    """Any situation."""
    return st.builds(
        Situation,
        incident=st.builds(
            incident,
            state=st.sampled_from(State),
            severity=st.sampled_from(Severity),
            target=_TARGETS,
            source=_NAMES,
        ),
        diagnosis=st.builds(
            diagnosis,
            type=st.sampled_from(["network_timeout", "data_duplication", UNKNOWN]),
            confidence=st.sampled_from([0.0, 0.4999, 0.5, 0.7499, 0.75, 1.0]) | st.floats(0, 1),
        ),
        plan=st.builds(
            plan,
            strategy=_STRATEGIES,
            target=_KEYS,
            risk=st.sampled_from(Risk),
            undo=st.sampled_from([None, "restore from the backup"]),
        )
        | st.lists(_DEEDS, min_size=1, max_size=3).map(lambda deeds: playbook(*deeds)),
        attempts=st.lists(attempts(), max_size=12).map(tuple),
        trials=st.lists(attempts(), max_size=8).map(tuple),
        judged=st.sampled_from([(), PROVEN, (Judged(confidence=0.9, right=False),) * 3]),
        group=st.sets(_KEYS).map(tuple),
        groups=st.dictionaries(_KEYS, st.sets(_KEYS).map(tuple), max_size=2),
        paused=st.sampled_from(["", "paused by ada: audit"]),
        approved_by=st.sampled_from(["", "ada"]),
        approvers=st.integers(0, 2),
    )
