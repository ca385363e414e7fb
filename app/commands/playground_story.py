"""One scene of the demo on its way: what was posted, what its trail says by now, whether that is right."""

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.commands.playground_scenes import Look, Scene
from app.decision.decision import Allows
from app.foundation.ids import derived_id
from app.pipeline.trail import Repair, Trail
from app.remediation.approve import Answer, Approval
from app.remediation.store import Kind

# Who is told is said beside it.
_LEADS = re.compile(r"^tells a person( and does not act)?: ")


@dataclass(frozen=True)
class Seen:
    """What a trail says by now; `ended` is empty until it is over, `waits` until a person must answer,
    `stopped_by` unless a gate stands in the way.

    `seconds` go from the event to the outcome, `waited` are those of them spent waiting for a person.
    """

    type: str = ""
    confidence: float = 0
    cites: float = 0
    effect: str = ""
    strategy: str = ""
    stopped_by: str = ""
    plan: str = ""
    doing: str = "is diagnosed"
    waits: Approval | None = None
    approved_by: str = ""
    ended: str = ""
    says: str = ""
    seconds: float = 0
    waited: float = 0
    case_id: str = ""


def see(trail: Trail, case_id: str = "") -> Seen:
    """Reads a trail; `cites` is how near the case `case_id` was that the diagnosis cites."""
    # What broke again after it was repaired goes on in the same incident, in a new episode.
    decisions = [one for one in trail.decisions if one.episode == trail.incident.episode]
    if not decisions:
        return Seen()
    ours = {one.id for one in decisions}
    repairs = [one for one in trail.repairs if one.remediation.decision_id in ours]
    diagnosis, first, decision = trail.diagnoses[-1], decisions[0], decisions[-1]
    cited = [i.weight for f in diagnosis.findings for i in f.evidence if case_id and i.ref == case_id]
    seen: dict[str, Any] = {
        "type": diagnosis.type,
        "confidence": diagnosis.confidence,
        "cites": max(cited, default=0),
        "effect": first.effect.value,
        "strategy": decision.strategy,
        "stopped_by": next((v.gate for v in decision.verdicts if v.allows is Allows.BLOCK), ""),
        "plan": decision.plan.summary if decision.plan else "",
        "waits": trail.waiting,
        "doing": "waits for a person" if trail.waiting else "goes on",
    }
    arrived = trail.events[0].received_at  # the newest, which began this episode
    for approval in trail.approvals:
        if approval.answered_at is None or approval.decision_id not in ours:
            continue
        seen["waited"] = (approval.answered_at - approval.asked_at).total_seconds()
        if approval.answer is Answer.APPROVED:
            seen["approved_by"] = approval.actor
        else:
            seconds = (approval.answered_at - arrived).total_seconds()
            seen |= {"ended": approval.answer, "says": "nothing was done", "seconds": seconds}
    if repairs:
        repair = repairs[-1]
        outcome = repair.outcome
        seen["doing"] = _doing(repair)
        # A verified repair is over when its incident is resolved, for that is when it is learned.
        if outcome and (outcome.ended != "verified" or trail.incident.state == "resolved"):
            seconds = (outcome.at - arrived).total_seconds()
            says = _LEADS.sub("", outcome.says)
            says += f"; undone: {outcome.undone}" if outcome.undone else ""
            seen |= {"ended": outcome.ended.value, "says": says, "seconds": seconds}
            seen["case_id"] = derived_id("case", repair.remediation.id)
    return Seen(**seen)


def _doing(repair: Repair) -> str:
    if not repair.journal:
        return "begins"
    entry = repair.journal[-1]
    told = orjson.loads(entry.body)
    says = str(told.get("says", ""))
    if entry.kind is Kind.SNAPSHOT:
        return f"can undo: {says}"
    if entry.kind is Kind.RECEIPT:
        return f"{says}; verifies"
    if entry.kind is Kind.CHECK:
        return f"{says}; " + ("sees whether it holds" if told["how"] == "verified" else "goes on")
    return says


@dataclass
class Row:
    """One scene on its way. `state`: waits, breaks, posted; `wrong`: how it came out other than it should."""

    scene: Scene
    state: str = "waits"
    broke: str = ""
    incident_id: str = ""
    posted: float = 0
    before: Look = field(default_factory=dict)
    after: Look = field(default_factory=dict)
    seen: Seen = Seen()
    wrong: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return bool(self.seen.ended or self.wrong)

    @property
    def proof(self) -> str:
        """What the far side shows; empty when there is nothing to show."""
        return self.scene.tells(self.before, self.after) if self.before and self.after else ""

    def judge(self) -> str:
        """How it ended other than it should; empty when it did not. A person may always say no."""
        seen, scene = self.seen, self.scene
        if seen.type not in scene.types:
            return f"diagnosed as {seen.type}, not {' or '.join(scene.types)}"
        if seen.strategy != scene.strategy:
            return f"{seen.strategy} was chosen, not {scene.strategy}: {seen.says}"
        if seen.effect != scene.effect:
            return f"it was to {scene.effect} and did {seen.effect}, {seen.confidence:.0%} sure"
        if seen.stopped_by != scene.stopped_by:
            return f"stopped by {seen.stopped_by or 'no gate'}, not {scene.stopped_by or 'none'}"
        if seen.ended != scene.ended and not (scene.effect == "ask" and seen.ended == "denied"):
            return f"ended {seen.ended}, not {scene.ended}: {seen.says}"
        if scene.after and not seen.cites:
            return f"the diagnosis does not cite what was learned from {scene.after}"
        return ""
