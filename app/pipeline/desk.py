"""The desk: what people may ask for. Slack, the pages, the API and the command line all come here.

So every act checks the role, names the person the same, is written once, and says the same when it comes
too late.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from sqlmodel import Session

from app.db.engine import Database
from app.foundation.clock import Clock
from app.foundation.errors import Invalid, NotAllowed, Unavailable
from app.foundation.reading import nearest
from app.knowledge.case import Case
from app.knowledge.taxonomy import Taxonomy
from app.learning.learn import Learn
from app.people.directory import DirectoryFile
from app.people.person import CLI, Person, Scope
from app.remediation import approve
from app.remediation import undo as undos
from app.remediation.approve import Answer, Approval

_LONGEST_SNOOZE = timedelta(days=1)


def _nothing(changed: str) -> None:
    """Where no engine runs: its sweep finds what was written."""


class Desk:
    """Implements the port of that name. `answered`, `undoing` and `woken` start what follows at once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        taxonomy: Taxonomy,
        strategies: Iterable[str],
        directory: DirectoryFile,
        learn: Learn,
        backups_within: timedelta,
        answered: Callable[[str], None] = _nothing,
        undoing: Callable[[str], None] = _nothing,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._taxonomy = taxonomy
        self._strategies = tuple(strategies)
        self._directory = directory
        self._learn = learn
        self._backups_within = backups_within
        self._answered = answered
        self._undoing = undoing
        self._woken = woken

    @property
    def types(self) -> Sequence[str]:
        return tuple(self._taxonomy.types)

    def approve(self, person: Person, approval_id: str, plan_hash: str | None, reason: str = "") -> str:
        given = self.answer(person, approval_id, Answer.APPROVED, plan_hash=plan_hash, reason=reason)
        if given.answer is None:
            return f"{person.name} said yes; it waits for {given.waits_for}"
        return f"{person.name} approved it"

    def deny(
        self, person: Person, approval_id: str, plan_hash: str | None, reason: str = "", right_type: str = ""
    ) -> str:
        self.answer(
            person, approval_id, Answer.DENIED, plan_hash=plan_hash, reason=reason, right_type=right_type
        )
        more = f": it is {right_type}, and is diagnosed again" if right_type else "; a person takes over"
        return f"{person.name} denied it{more}"

    def other(
        self, person: Person, approval_id: str, plan_hash: str | None, strategy: str, reason: str = ""
    ) -> str:
        self.answer(person, approval_id, Answer.DENIED, plan_hash=plan_hash, reason=reason, other=strategy)
        return f"{person.name} asked for {strategy} instead; its plan follows"

    def answer(
        self,
        person: Person,
        approval_id: str,
        answer: Answer,
        *,
        plan_hash: str | None = None,
        reason: str = "",
        right_type: str = "",
        other: str = "",
    ) -> Approval:
        """Records one person's answer and starts what follows, where nothing more is waited for."""
        person.need(Scope.APPROVE)
        if answer is Answer.APPROVED and (right_type or other):
            raise Invalid(
                "approving and saying that something else is right do not go together; do one of them"
            )
        if right_type and other:
            raise Invalid(
                "say what it really is, or what to do instead: a new diagnosis has a plan of its own"
            )
        if right_type:
            self._known("right_type", right_type, self._taxonomy.types)
        if other:
            self._known("other", other, self._strategies)
        with self._database.writing() as session:
            actor = self._name(person)
            if answer is Answer.APPROVED:
                actor = self._may_say_yes(session, actor, approval_id)
            given = approve.answer(
                session,
                approval_id,
                answer,
                actor=actor,
                at=self._clock.now(),
                plan_hash=plan_hash,
                reason=reason,
                right_type=right_type,
                other=other,
            )
        if given.answer is not None:
            self._answered(approval_id)
        self._woken()
        return given

    def snooze(self, person: Person, approval_id: str, lasts: timedelta, reason: str = "") -> str:
        person.need(Scope.APPROVE)
        if not timedelta(0) < lasts <= _LONGEST_SNOOZE:
            raise Invalid("a question is put off by a day at most", places=(("lasts", "minutes, 1 to 1440"),))
        now = self._clock.now()
        until = now + lasts
        with self._database.writing() as session:
            approve.snooze(
                session,
                approval_id,
                until,
                actor=self._name(person),
                at=now,
                most=_LONGEST_SNOOZE,
                reason=reason,
            )
        self._woken()
        return f"{person.name} put it off until {until:%Y-%m-%d %H:%M} UTC"

    def correct(self, person: Person, incident_id: str, right_type: str, reason: str = "") -> str:
        case = self.learn(person, incident_id, right_type, reason)
        return f"{person.name} says that it is {right_type}; learned as {case.id}"

    def learn(self, person: Person, incident_id: str, right_type: str, reason: str) -> Case:
        """The case that it became."""
        person.need(Scope.OPERATE)
        case = self._learn.correct(incident_id, right_type, actor=self._name(person), reason=reason)
        self._woken()
        return case

    def undo(self, person: Person, remediation_id: str, reason: str = "") -> str:
        self.take_back(person, remediation_id, reason)
        return f"{person.name} has it undone"

    def take_back(self, person: Person, remediation_id: str, reason: str) -> undos.Undo:
        """Records the wish and queues what follows."""
        person.need(Scope.APPROVE)
        with self._database.writing() as session:
            asked = undos.ask(
                session,
                remediation_id,
                actor=self._name(person),
                reason=reason,
                at=self._clock.now(),
                within=self._backups_within,
            )
        self._undoing(remediation_id)
        self._woken()
        return asked

    def _name(self, person: Person) -> str:
        """One name for one person, however they are called where they came from."""
        member = self._directory.last().member(person.name.removeprefix(CLI))
        return member.name if member else person.name

    def _may_say_yes(self, session: Session, actor: str, approval_id: str) -> str:
        """The name under which this person's yes counts; raises NotAllowed where it does not.

        Somebody who said yes under another name of theirs, as `people.yaml` has it by now, is no second person.
        """
        approval = approve.get(session, approval_id)
        if approval.people == 1 and not approval.not_by:
            return actor
        try:
            same = self._directory.read().same
        except Invalid as error:
            says = "while nobody can tell who is who, nothing is approved that depends on it"
            raise Unavailable(f"{error.says}: {says}") from None
        for author in approval.not_by:
            if same(actor.removeprefix(CLI), author):
                raise NotAllowed(
                    f"the change that failed is by {author}; the policy wants somebody else's yes"
                )
        known = (yes.actor for yes in approval.yeses)
        return next((name for name in known if same(name.removeprefix(CLI), actor.removeprefix(CLI))), actor)

    def _known(self, place: str, word: str, known: Iterable[str]) -> None:
        if word not in known:
            what = "type" if place == "right_type" else "strategy"
            raise Invalid(f"there is no {what} {word!r}", places=((place, f"no such{nearest(word, known)}"),))
