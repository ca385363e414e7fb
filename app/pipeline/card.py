"""The card: how an incident stands now, as people's channels show it."""

from collections.abc import Callable, Iterable

from app.db.engine import Database
from app.decision.plan import Plan
from app.diagnosis.diagnosis import Diagnosis, EvidenceKind
from app.foundation.errors import NotFound
from app.incidents.incident import Incident
from app.people.message import Card, Fix, Question
from app.pipeline.situation import target_of
from app.pipeline.trail import Trail, trail
from app.remediation.approve import Answer, Approval
from app.remediation.plan import ESCALATE
from app.remediation.strategy import Strategies
from app.systems.targets import Targets

_EVIDENCE = 3
_CITED = {EvidenceKind.CASE: "like", EvidenceKind.RUNBOOK: "runbook", EvidenceKind.RULE: "rule"}


class Cards:
    """Makes cards. `url` is where people reach this service, `owner_of` gives the owner of a runbook by id."""

    def __init__(
        self,
        database: Database,
        targets: Targets,
        strategies: Strategies,
        url: str = "",
        owner_of: Callable[[str], str] = lambda runbook_id: "",
    ) -> None:
        self._database = database
        self._targets = targets
        self._strategies = strategies
        self._url = url.rstrip("/")
        self._owner_of = owner_of

    def card(self, incident_id: str) -> Card | None:
        """How it stands now; None when there is no such incident (any more)."""
        try:
            found = trail(self._database, incident_id)
        except NotFound:
            return None
        incident = found.incident
        diagnosis = found.diagnoses[-1] if found.diagnoses else None
        ended = next((r.outcome for r in reversed(found.repairs) if r.outcome is not None), None)
        return Card(
            incident_id=incident.id,
            title=incident.title or incident.message.split("\n", 1)[0],
            where=incident.target.key or incident.source,
            environment=incident.target.environment,
            severity=incident.severity.value,
            state=incident.state.value,
            since=incident.first_seen,
            last=incident.last_seen,
            events=incident.events,
            url=f"{self._url}/incidents/{incident.id}" if self._url else "",
            type=diagnosis.type if diagnosis else "",
            confidence=diagnosis.confidence if diagnosis else None,
            types=tuple(r.type for r in diagnosis.ranked if r.type != diagnosis.type) if diagnosis else (),
            evidence=_evidence(diagnosis),
            question=self._question(found),
            said=_said(found.approvals),
            ended=f"{ended.strategy} ended {ended.ended}: {ended.says}"
            if ended is not None and ended.strategy != ESCALATE
            else "",
            undoable=next((r.remediation.id for r in reversed(found.repairs) if r.can_be_undone), ""),
            owners=self.owners(incident, diagnosis),
        )

    def owners(self, incident: Incident, diagnosis: Diagnosis | None) -> tuple[str, ...]:
        """Whose matter it is: the target's owner as registered, or as the event says; then the runbook's."""
        target = target_of(incident, self._targets)
        cited = diagnosis.runbook.partition("#")[0] if diagnosis else ""
        owners = (target.owner if target else "", incident.target.owner, self._owner_of(cited))
        return tuple(dict.fromkeys(owner for owner in owners if owner))

    def others(self, incident: Incident, asked: Plan) -> tuple[str, ...]:
        """The strategies that the target allows, other than the one asked about.

        Whether one applies is seen when it is planned: that may ask a far system, and telling waits for none.
        """
        target = target_of(incident, self._targets)
        allowed = target.allow if target else ()
        return tuple(name for name in allowed if name != asked.strategy and name in self._strategies)

    def _question(self, found: Trail) -> Question | None:
        waiting = found.waiting
        decision = next((d for d in found.decisions if waiting and d.id == waiting.decision_id), None)
        if waiting is None or decision is None or decision.plan is None:
            return None
        return Question(
            approval_id=waiting.id,
            plan_hash=waiting.plan_hash,
            fix=fix_of(decision.plan),
            says=decision.says,
            waits_for=waiting.waits_for,
            expires_at=waiting.expires_at,
            others=self.others(found.incident, decision.plan),
        )


def fix_of(plan: Plan) -> Fix:
    """A plan in words."""
    return Fix(
        strategy=plan.strategy,
        summary=plan.summary,
        steps=tuple(step.says for step in plan.steps),
        risk=plan.risk.value,
        undo=plan.undo,
    )


def _evidence(diagnosis: Diagnosis | None) -> tuple[str, ...]:
    """What counted most, one line a voice."""
    if diagnosis is None:
        return ()
    lines = []
    for finding in diagnosis.findings:
        if finding.contributes and finding.scores:
            best = max(finding.evidence, key=lambda e: e.weight, default=None)
            quote = f": “{' '.join(best.quote.split())[:160]}”" if best and best.quote else ""
            where = f" ({_CITED[best.kind]} {best.ref})" if best and best.kind in _CITED else ""
            top, share = max(finding.scores.items(), key=lambda item: item[1])
            lines.append((top == diagnosis.type, share, f"{finding.hint or finding.scorer}{where}{quote}"))
    lines.sort(key=lambda line: line[:2], reverse=True)
    return tuple(text for _, _, text in lines[:_EVIDENCE])


def _said(approvals: Iterable[Approval]) -> str:
    """The last answer that a person, or time, gave."""
    answered = [a for a in approvals if a.answer is not None and a.answer is not Answer.VOID]
    if not answered:
        return ""
    last = answered[-1]
    why = f": {last.reason}" if last.reason else ""
    more = f"; it is {last.right_type}" if last.right_type else ""
    more += f"; {last.other} instead" if last.other else ""
    by = "nobody answered in time" if last.answer is Answer.EXPIRED else f"{last.actor} {last.answer}"
    return f"{by}, {last.answered_at:%Y-%m-%d %H:%M:%S} UTC{more}{why}"
