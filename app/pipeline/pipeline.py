"""The steps of the workflows: diagnose, plan, decide, start, conclude, learn; `workflows` has them in order.

Each may run again, also after those that follow it have run, and then does its work once.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

from sqlmodel import Session

from app.db.engine import Database
from app.decision import store as decisions
from app.decision.decide import Decide
from app.decision.decision import Allows, Decision, Effect
from app.decision.plan import Plan
from app.diagnosis import store as diagnoses
from app.diagnosis.diagnose import Diagnose
from app.diagnosis.diagnosis import Choice, Diagnosis
from app.foundation import metrics, traces
from app.foundation.clock import Clock
from app.foundation.errors import Conflict
from app.foundation.ids import derived_id
from app.foundation.logging import log
from app.foundation.record import Record
from app.incidents import store as incidents
from app.incidents.incident import OPEN, Incident, State
from app.incidents.lifecycle import advance
from app.learning.learn import Learn
from app.pipeline.other import as_chosen, decision_id_of
from app.pipeline.situation import Situations, target_of
from app.pipeline.symptom import symptom_of
from app.pipeline.tell import Telling, authors_of
from app.remediation import approve, overdue, store, undo
from app.remediation.acts import Acted
from app.remediation.approve import Answer
from app.remediation.outcome import Ended, Outcome
from app.remediation.plan import ESCALATE, plan
from app.remediation.remediate import Acts
from app.remediation.strategy import Strategies
from app.systems.targets import Targets

BUSY = "another repair has the target"
# So long after a decision that took its targets nothing but the brake is looked at again.
_JUST_NOW = timedelta(seconds=1)
LEFT_TO_PEOPLE = frozenset({Effect.ESCALATE, Effect.SHADOW})


class Next(Record):
    """What a decision leads to; `remediation_id` is set when a repair was begun."""

    effect: Effect
    remediation_id: str = ""


class Pipeline:
    """The steps of the workflows, over the rooms' verbs."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        diagnose: Callable[[], Diagnose],
        decide: Decide,
        strategies: Strategies,
        targets: Targets,
        acts: Acts,
        learn: Learn,
        telling: Telling,
        approval_within: timedelta,
        backups_within: timedelta,
        situations: Situations,
    ) -> None:
        """`diagnose` waits until the models are loaded; backups are kept for `backups_within`."""
        self._database = database
        self._clock = clock
        self._diagnose = diagnose
        self._decide = decide
        self._strategies = strategies
        self._targets = targets
        self.acts = acts
        self._learn = learn
        self._telling = telling
        self._approval_within = approval_within
        self._backups_within = backups_within
        self._situations = situations

    # --- heal -----------------------------------------------------------------------------

    def diagnose(self, incident_id: str, episode: int, origin: str) -> str:
        """Diagnoses the incident, stores it, and returns the diagnosis' id."""
        diagnosis_id = derived_id("dia", incident_id, str(episode), origin)
        with self._database.reading() as session:
            if diagnoses.find(session, diagnosis_id):
                return diagnosis_id
            symptom = symptom_of(session, incident_id)
        diagnosis = self._diagnose().diagnose(symptom, episode, diagnosis_id)
        with self._database.writing() as session:
            diagnoses.add(session, diagnosis)
            incidents.mark_handled(session, incident_id, episode)
        metrics.DIAGNOSES.labels(diagnosis.type).inc()
        traces.note(type=diagnosis.type, confidence=diagnosis.confidence, scorers=diagnosis.scorer_set)
        log(__name__).info(
            "incident.diagnosed",
            incident_id=incident_id,
            type=diagnosis.type,
            confidence=diagnosis.confidence,
        )
        return diagnosis_id

    def decide(self, diagnosis_id: str, origin: str, approval_id: str = "") -> Next:
        """Plans, asks every gate, stores the decision, and begins what it leads to.

        A repair that is to act takes its targets in the same transaction, where they are free.
        With `approval_id` the plan that was approved is made again: the same hash runs with the
        approver's word, another one is a new question.
        """
        now = self._clock.now()
        decision_id = decision_id_of(diagnosis_id, origin)
        with self._database.reading() as session:
            diagnosis = diagnoses.get(session, diagnosis_id)
            incident = incidents.get(session, diagnosis.incident_id)
            approval = approve.get(session, approval_id) if approval_id else None
            if approval is not None:
                diagnosis = as_chosen(session, diagnosis, approval)
        target = target_of(incident, self._targets)
        planned = plan(incident, diagnosis, target, self._strategies, self._targets.find)
        approved_by, approvers = "", 0
        if approval is not None and approval.answer is Answer.APPROVED:
            if approval.plan_hash == planned.plan.hash:
                approved_by, approvers = approval.actor, len(approval.yeses)
            else:
                log(__name__).info("plan.changed", incident_id=incident.id, approval_id=approval_id)
        with self._database.writing() as session:
            decisions.govern(session)
            known = decisions.find(session, decision_id)
            new = known is None
            if known is None:
                situation = self._situations.now(
                    session,
                    incident,
                    diagnosis,
                    planned.plan,
                    now,
                    approved_by=approved_by,
                    approvers=approvers,
                )
                effect, verdicts, says = self._decide.decide(situation, now)
                known = Decision(
                    id=decision_id,
                    incident_id=incident.id,
                    episode=diagnosis.episode,
                    diagnosis_id=diagnosis_id,
                    at=now,
                    effect=effect,
                    strategy=planned.plan.strategy,
                    plan=planned.plan,
                    verdicts=verdicts,
                    considered=planned.considered,
                    says=says,
                )
                decisions.add(session, known, situation)
                metrics.DECISIONS.labels(effect.value).inc()
                for verdict in verdicts:
                    if verdict.allows is not Allows.ALLOW:
                        metrics.HELD.labels(verdict.gate, verdict.allows.value).inc()
            held = [verdict.gate for verdict in known.verdicts if verdict.allows is not Allows.ALLOW]
            traces.note(effect=known.effect.value, strategy=known.strategy, held_by=held)
            chosen = known.plan or planned.plan
            asked = known.effect is Effect.ASK
            authors = authors_of(session, incident.id) if asked and known.not_by_author else ()
            # Of two persons one is not the author, whoever that is.
            people = 2 if known.not_by_author and not authors else known.people
            if asked:
                approve.ask(
                    session,
                    decision_id,
                    incident.id,
                    chosen.hash,
                    now,
                    self._approval_within,
                    people,
                    not_by=authors,
                    remind_at=self._telling.first_reminder(incident, diagnosis, now),
                )
            if known.effect is Effect.ACT:
                begun = self._begin(session, known, chosen, approved_by, approvers)
                if new:
                    store.hold(session, begun.remediation_id, chosen.targets, now)
                return begun
            if known.effect in LEFT_TO_PEOPLE:
                return self._begin(session, known, self._escalation(incident, diagnosis), approved_by)
        if asked:
            two = " Two different persons must say yes." if people > 1 else ""
            says = f"may this run? {chosen.summary}. {known.says}.{two}"
            about = derived_id("apr", decision_id)
            self._telling.tell("waiting", incident, says, about, chosen.strategy, diagnosis)
        return Next(effect=known.effect)

    def _begin(
        self, session: Session, decision: Decision, plan_: Plan, approved_by: str, approvers: int = 0
    ) -> Next:
        remediation_id = derived_id("rem", decision.id)
        store.begin(
            session,
            store.Remediation(
                id=remediation_id,
                incident_id=decision.incident_id,
                decision_id=decision.id,
                approved_by=approved_by,
                approvers=approvers,
                strategy=plan_.strategy,
                target=plan_.target,
                started_at=self._clock.now(),
                plan=plan_,
            ),
        )
        return Next(effect=decision.effect, remediation_id=remediation_id)

    def _escalation(self, incident: Incident, diagnosis: Diagnosis) -> Plan:
        told = Choice(
            strategy=ESCALATE, serves=diagnosis.type, expected=0, success=1, because="held back by a gate"
        )
        alone = diagnosis.model_copy(update={"choices": (told,)})
        return plan(incident, alone, target_of(incident, self._targets), self._strategies).plan

    # --- repair ---------------------------------------------------------------------------

    def still(self, remediation_id: str) -> str:
        """Takes its targets, or says why this repair must not start now.

        It is decided anew, because time has passed, unless it has its targets since a moment ago and nobody has
        paused since. BUSY while something else acts on one of them. All in one transaction: a pause that was
        committed before it is seen, and of two processes one gets a target.
        """
        now = self._clock.now()
        with self._database.writing() as session:
            decisions.govern(session)
            remediation = store.get(session, remediation_id)
            if store.outcome(session, remediation_id):
                return "it has ended"
            holds = store.held(session).get(remediation.target) == remediation_id
            if holds and store.journal(session, remediation_id):
                return ""  # it has started before; a crash came between that and its being recorded
            incident = incidents.get(session, remediation.incident_id)
            episode = decisions.episode_of(session, remediation.decision_id)
            if incident.state not in OPEN or incident.episode != episode:
                return "the incident is no longer open"
            ago = now - remediation.started_at
            if holds and timedelta(0) <= ago < _JUST_NOW and not decisions.current(session):
                metrics.START_SECONDS.observe(ago.total_seconds())
                return ""
            decision = decisions.get(session, remediation.decision_id)
            diagnosis = diagnoses.get(session, decision.diagnosis_id)
            situation = self._situations.now(
                session,
                incident,
                diagnosis,
                remediation.plan,
                now,
                approved_by=remediation.approved_by,
                approvers=remediation.approvers,
                begun=remediation,
            )
            effect, _, says = self._decide.decide(situation, now)
            if effect is not Effect.ACT:
                return says
            if not store.hold(session, remediation_id, remediation.plan.targets, now):
                return BUSY
        metrics.START_SECONDS.observe((now - decision.at).total_seconds())
        return ""

    def hold(self, by: str, remediation_id: str) -> bool:
        """Takes every target of the repair's plan, unless something else acts on one of them."""
        with self._database.writing() as session:
            decisions.govern(session)
            return store.hold(session, by, self.acts.load(remediation_id).plan.targets, self._clock.now())

    def stop(self, remediation_id: str, why: str) -> Outcome:
        """Ends a repair that never started; of one that has ended, the outcome."""
        return self.acts.end(remediation_id, Ended.STOPPED, why, "")

    def begun(self, incident_id: str, episode: int) -> Next | None:
        """The repair that this episode has led to already; None when it has led to none."""
        decision_id = decision_id_of(derived_id("dia", incident_id, str(episode), "opened"), "opened")
        with self._database.reading() as session:
            effect = decisions.effect_of(session, decision_id)
        if effect is not Effect.ACT:
            return None
        return Next(effect=effect, remediation_id=derived_id("rem", decision_id))

    def broke(self, remediation_id: str, why: str) -> None:
        """Ends a repair that our own defect cut off, and tells a person: what it did stands."""
        says = f"Mendline failed in the middle of it: {why}"
        self.conclude(self.acts.end(remediation_id, Ended.HANDED_OVER, says, ""))

    def conclude(self, outcome: Outcome) -> None:
        """Resolves the incident or hands it to a person, and learns from what was verified."""
        metrics.OUTCOMES.labels(outcome.strategy, outcome.ended.value).inc()
        remediation = self.acts.load(outcome.remediation_id)
        began = remediation.started_at
        with self._database.reading() as session:
            incident = incidents.get(session, outcome.incident_id)
            episode = decisions.episode_of(session, remediation.decision_id)
        ended = {"strategy": outcome.strategy, "ended": outcome.ended.value}
        traces.past("repair", began, outcome.at, outcome.remediation_id, **ended)
        metrics.REPAIR_SECONDS.labels(outcome.strategy).observe((outcome.at - began).total_seconds())
        if outcome.ended is Ended.VERIFIED:
            with self._database.writing() as session:
                now = incidents.get(session, incident.id)
                if now.state in OPEN and now.episode == episode:
                    advance(
                        session,
                        incident.id,
                        State.RESOLVED,
                        actor=f"strategy:{outcome.strategy}",
                        reason=f"repaired and verified: {outcome.says}"[:500],
                        at=self._clock.now(),
                    )
            self._learn.learn(outcome)
            says = f"{outcome.strategy}: {outcome.says}."
            self._telling.tell("verified", incident, says, outcome.remediation_id, outcome.strategy)
            return
        undone = f" Undone: {outcome.undone}" if outcome.undone else ""
        self._telling.tell(
            outcome.ended.value,
            incident,
            f"{outcome.strategy} ended {outcome.ended.value}: {outcome.says}.{undone}",
            outcome.remediation_id,
            outcome.strategy,
        )

    def hand_over(self, remediation_id: str) -> None:
        """Tells a person, with what was found and why nothing was done: one step, nothing to undo."""
        with self._database.reading() as session:
            remediation = store.get(session, remediation_id)
            decision = decisions.get(session, remediation.decision_id)
            incident = incidents.get(session, remediation.incident_id)
        outcome = self.acts.end(remediation_id, Ended.HANDED_OVER, decision.says, "")
        metrics.OUTCOMES.labels(outcome.strategy, outcome.ended.value).inc()
        shadow = decision.effect is Effect.SHADOW
        would = f". The plan: {decision.plan.summary}." if shadow and decision.plan else ""
        says = f"{decision.says}{would} {_reasons(decision)}".strip()
        self._telling.tell("escalated", incident, says, remediation_id)

    # --- undo -----------------------------------------------------------------------------

    def undos(self) -> list[str]:
        """Remediations that people asked to undo, and whose undoing has not ended."""
        with self._database.reading() as session:
            return undo.waiting(session)

    def undone(self, remediation_id: str, taken_back: Acted) -> None:
        """Ends an undoing: takes the outcome's credit back and leaves the incident, open again, to people.

        Nothing is begun for it by itself: what a person took back is not done again.
        """
        now = self._clock.now()
        with self._database.writing() as session:
            said = undo.end(
                session, remediation_id, done=taken_back.how == "done", says=taken_back.says, at=now
            )
            store.release(session, f"undo:{remediation_id}")
            remediation = store.get(session, remediation_id)
            incident = incidents.get(session, remediation.incident_id)
        self._learn.unlearn(remediation_id)
        # A newer incident of the same trouble may be open: then that one is worked on.
        with suppress(Conflict), self._database.writing() as session:
            if incident.state is State.RESOLVED:
                because = f"{remediation.strategy} was undone: {said.reason or taken_back.says}"[:500]
                incident = advance(
                    session, incident.id, State.FIRING, actor=said.actor, reason=because, at=now
                )
                incidents.mark_handled(session, incident.id, incident.episode)
        how = "was undone" if said.done else "could not be undone"
        says = f"{remediation.strategy} {how} for {said.actor}: {taken_back.says}"
        self._telling.tell("undone", incident, says, f"undo:{remediation_id}")

    def sweep_backups(self) -> None:
        """Removes backups that were kept long enough."""
        self.acts.sweep_backups(self._backups_within)

    # --- approvals ------------------------------------------------------------------------

    def read_answer(self, approval_id: str) -> Mapping[str, str]:
        """What an answered approval asks for next; a right type is learned as a correction here."""
        with self._database.reading() as session:
            approval = approve.get(session, approval_id)
            decision = decisions.get(session, approval.decision_id)
            incident = incidents.get(session, approval.incident_id)
        answer = approval.answer or Answer.VOID
        waited = (approval.answered_at or self._clock.now()) - approval.asked_at
        metrics.ANSWER_SECONDS.labels(answer.value).observe(waited.total_seconds())
        traces.past("approval", approval.asked_at, approval.asked_at + waited, answer=answer.value)
        with self._database.writing() as session:
            approve.mark_followed(session, approval_id)
        if approval.right_type:
            self._learn.correct(
                incident.id,
                approval.right_type,
                actor=approval.actor,
                reason=approval.reason or "said when answering",
            )
        follows = approval.right_type or approval.other
        if answer in (Answer.DENIED, Answer.EXPIRED) and not follows:
            said = f"{approval.actor} said no" if answer is Answer.DENIED else "nobody answered in time"
            why = f": {approval.reason}" if approval.reason else ""
            self._telling.tell(
                "escalated",
                incident,
                f"{said}{why}. {decision.says}",
                approval_id,
                everybody=answer is Answer.EXPIRED,
            )
        return {
            "answer": answer.value,
            "incident_id": incident.id,
            "diagnosis_id": decision.diagnosis_id,
            "episode": str(decision.episode),
            "again": "yes" if approval.right_type and answer is Answer.DENIED else "",
            "other": approval.other if answer is Answer.DENIED else "",
        }

    def not_followed(self, approval_id: str, why: str) -> None:
        """Tells a person that nothing follows from their answer, because of our own defect."""
        with self._database.writing() as session:
            approve.mark_followed(session, approval_id)
            incident = incidents.get(session, approve.get(session, approval_id).incident_id)
        says = f"the answer could not be followed: {why}"
        self._telling.tell("escalated", incident, says, f"answered:{approval_id}")

    def unfollowed(self) -> list[str]:
        """Answers that nothing has followed from: given on the command line, or left by a crash."""
        self._close_waiting()
        with self._database.reading() as session:
            return approve.unfollowed(session)

    def remind(self) -> None:
        """Tells again of questions that nobody has answered."""
        self._telling.remind()

    def take_back(self) -> None:
        """Takes back rights that are still granted after their time."""
        overdue.take_back(self._database, self._clock, self._strategies)

    def _close_waiting(self) -> None:
        """Answers what is overdue with "expired", and what has no open incident any more with "void"."""
        now = self._clock.now()
        with self._database.reading() as session:
            closing = dict.fromkeys(approve.overdue(session, now), Answer.EXPIRED)
            closing |= dict.fromkeys(approve.pointless(session, [state.value for state in OPEN]), Answer.VOID)
        for approval_id, answer in closing.items():
            # Somebody may answer in this very moment: then theirs stands.
            with suppress(approve.AlreadyAnswered), self._database.writing() as session:
                approve.answer(session, approval_id, answer, actor="mendline", at=now)

    def undiagnosed(self, incident_id: str, why: str) -> None:
        """Tells a person of an incident that could not be worked on, so that it is not silently left."""
        metrics.UNDIAGNOSED.inc()
        with self._database.writing() as session:
            incident = incidents.get(session, incident_id)
            incidents.mark_handled(session, incident_id, incident.episode)
        about = f"{incident_id}:{incident.episode}"
        self._telling.tell("escalated", incident, f"it could not be diagnosed: {why}", about)


def _reasons(decision: Decision) -> str:
    held = [verdict.says for verdict in decision.verdicts if verdict.allows != "allow"]
    return " ".join(dict.fromkeys([*held, *decision.considered]))[:1000]
