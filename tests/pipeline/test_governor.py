"""The governor as a whole: no order of things gets past it.

Hypothesis makes up events, answers, crashes, clock jumps, pauses and freezes, over the real steps, gates
and tables; what was begun and started is then judged from the rows alone.
"""

import atexit
import shutil
import tempfile
from datetime import timedelta
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.db.engine import Database, sqlite_url
from app.decision.decision import Allows, Attempt, Effect
from app.decision.plan import Plan
from app.decision.policy import Policy, Rule, Trust, When
from app.decision.settings import DecisionSettings
from app.knowledge.playbook import Action
from app.pipeline.pipeline import BUSY, Next
from app.remediation import store
from app.remediation.approve import AlreadyAnswered, Answer
from app.remediation.outcome import Ended
from app.tables import metadata
from tests.pipeline.governed import Governed, entry, named

RETRY, RECOVER = "retry_with_exponential_backoff", "recover_service"
BOTH = (RETRY, RECOVER)
# On its own target twice; on another target of the same group, and on one of another.
PLAYBOOKS = {
    "playbook:twice": (Action(strategy=RECOVER), Action(strategy=RETRY)),
    "playbook:next": (Action(strategy=RETRY), Action(strategy=RECOVER, target="shop/job/load-2")),
    "playbook:far": (Action(strategy=RECOVER, target="shop/job/sacred"), Action(strategy=RETRY)),
}
TARGETS = [
    entry("load", *BOTH, group="loads"),
    entry("load-2", *BOTH, group="loads"),
    entry("load", *BOTH, group="loads", environment="production"),
    entry("Load", *BOTH, group="loads"),
    entry("sacred", *BOTH),
]
SETTINGS = DecisionSettings(
    cooldown_minutes=30,
    cooldown_most=3,
    repeat_hours=6,
    repeat_most=2,
    chain_most=3,
    cap_per_strategy=4,
    cap_per_target=3,
    cap_per_site=5,
    blast_share=0.5,
)
POLICY = Policy(
    rules=(
        Rule(name="two", when=When(target=("*/sacred",)), then=Allows.ASK, people=2, because="it is sacred"),
    ),
    trust=(Trust(name="all", because="there is no time to prove it"),),
)
HOUR = timedelta(hours=1)
SELDOM = st.sampled_from([False, False, False, True])


@cache
def site() -> Governed:
    """One for all examples; each clears it."""
    folder = Path(tempfile.mkdtemp(prefix="mendline-governor-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database(sqlite_url(folder / "mendline.db"))
    metadata.create_all(database.engine)
    return Governed(folder, database, POLICY, SETTINGS, TARGETS)


class Governor(RuleBasedStateMachine):
    """`started` are the repairs that run, by each target; `queued` those that were begun and wait."""

    @initialize()
    def begin(self) -> None:
        self.site = site()
        self.site.clear()
        self.queued: list[str] = []
        self.plans: dict[str, Plan] = {}
        self.started: dict[str, str] = {}
        self.paused = self.frozen = self.refused_for_nothing = False

    def _follow(self, next_: Next | None) -> None:
        if next_ is not None and next_.effect is Effect.ACT:
            assert not self.paused, "begun while paused"
            assert not self.frozen, "begun while frozen"
            with self.site.database.reading() as session:
                holds = next_.remediation_id in store.held(session).values()
            self._starts(next_.remediation_id) if holds else self.queued.append(next_.remediation_id)

    @rule(
        storm=st.lists(
            st.tuples(st.sampled_from(TARGETS), st.sampled_from((*BOTH, *PLAYBOOKS))), min_size=1, max_size=5
        ),
        confidence=st.sampled_from([0.9, 0.9, 0.9, 0.6, 0.3]),
    )
    def events(self, storm: list[tuple[dict[str, object], str]], confidence: float) -> None:
        for which, strategy in storm:
            self._follow(self.site.happen(named(which), strategy, confidence, PLAYBOOKS.get(strategy, ())))

    @rule(
        nth=st.integers(0, 5), actor=st.sampled_from(["ada", "bob"]), yes=st.sampled_from([True, True, False])
    )
    def an_answer(self, nth: int, actor: str, yes: bool) -> None:
        if waiting := self.site.waiting():
            approval = waiting[nth % len(waiting)]
            given = Answer.APPROVED if yes else Answer.DENIED
            try:
                self._follow(self.site.answer(approval, actor, given))
            except AlreadyAnswered:
                late = self.site.clock.now() >= approval.expires_at
                self.refused_for_nothing = not late and actor not in [one.actor for one in approval.yeses]

    @rule(nth=st.integers(0, 5))
    def a_start(self, nth: int) -> None:
        if not self.queued:
            return
        remediation_id = self.queued[nth % len(self.queued)]
        begun = self.site.acts.load(remediation_id)
        why = self.site.pipeline.still(remediation_id)
        if why == BUSY:
            assert set(begun.plan.targets) & set(self.started)
            return
        self.queued.remove(remediation_id)
        if why:
            self.site.pipeline.stop(remediation_id, why)
            return
        self._starts(remediation_id)

    def _starts(self, remediation_id: str) -> None:
        begun = self.site.acts.load(remediation_id)
        assert not self.paused, "started while paused"
        assert not self.frozen, "started while frozen"
        assert not set(begun.plan.targets) & set(self.started), "two repairs of one target"
        assert begun.approvers >= 2 or "sacred" not in str(begun.plan.targets), "one person was enough"
        for strategy, target in begun.plan.deeds:
            self._is_no_loop(strategy, target)
        self.started |= dict.fromkeys(begun.plan.targets, remediation_id)

    def _is_no_loop(self, strategy: str, target: str) -> None:
        now = self.site.clock.now()
        ended = [
            a
            for a in self._attempts()
            if self._on(a, target) and a.ended and now - a.started_at < timedelta(hours=6)
        ]
        assert len(ended) < SETTINGS.chain_most, "a chain went on"
        same = sum(self._plan(a).deeds.count((strategy, target)) for a in ended)
        assert same < SETTINGS.repeat_most, "a loop"

    @rule(nth=st.integers(0, 5), ended=st.sampled_from([Ended.VERIFIED, Ended.UNDONE, Ended.STUCK]))
    def an_end(self, nth: int, ended: Ended) -> None:
        if self.started:
            target = sorted(self.started)[nth % len(self.started)]
            ending = self.started[target]
            self.site.end(ending, ended)
            self.started = {held: by for held, by in self.started.items() if by != ending}

    @rule(ended=st.sampled_from([Ended.VERIFIED, Ended.UNDONE]))
    def all_that_can_runs(self, ended: Ended) -> None:
        for _ in range(len(self.queued)):
            self.a_start(0)
        for _ in range(len(self.started)):
            self.an_end(0, ended)

    @rule(nth=st.integers(0, 5), done=st.booleans())
    def a_crash_after_the_start(self, nth: int, done: bool) -> None:
        """The step runs again: where something was done, whatever has been paused since, it is the same start."""
        if not self.started:
            return
        remediation_id = self.started[sorted(self.started)[nth % len(self.started)]]
        if done:
            self.site.acts.snapshot(remediation_id)
        begun = self.site.acts.load(remediation_id)
        why = self.site.pipeline.still(remediation_id)
        assert why != BUSY
        with self.site.database.reading() as session:
            done = bool(store.journal(session, remediation_id))
        if why:
            assert not done, "given up in the middle"
            self.site.pipeline.stop(remediation_id, why)
            self.started = {held: by for held, by in self.started.items() if by != remediation_id}
        elif not done:
            assert not self.paused, "gone on while paused"
            assert not self.frozen or begun.started_at == self.site.clock.now(), "gone on while frozen"

    @rule(minutes=st.sampled_from([1, 29, 31, 61, 400, -1, -31, -61, -1500, 1500]))
    def a_clock_jump(self, minutes: int) -> None:
        self.site.clock.advance(timedelta(minutes=minutes))

    @rule(paused=SELDOM)
    def a_pause(self, paused: bool) -> None:
        self.paused = paused
        self.site.pause(self.paused)

    @rule(frozen=SELDOM)
    def a_freeze(self, frozen: bool) -> None:
        self.frozen = frozen
        self.site.freeze(self.frozen)

    def _attempts(self) -> list[Attempt]:
        """All repairs that were begun and not stopped before they started."""
        long = timedelta(days=3650)
        with self.site.database.reading() as session:
            found = store.attempts(session, self.site.clock.now(), back=long)
        return [attempt for attempt in found if attempt.ended != Ended.STOPPED]

    def _plan(self, attempt: Attempt) -> Plan:
        """As it was stored: what the gates were told of its actions is not to be believed."""
        if attempt.remediation_id not in self.plans:
            self.plans[attempt.remediation_id] = self.site.acts.load(attempt.remediation_id).plan
        return self.plans[attempt.remediation_id]

    def _with(self, attempt: Attempt, strategy: str) -> int:
        return [name for name, _ in self._plan(attempt).deeds].count(strategy)

    def _on(self, attempt: Attempt, target: str) -> int:
        _, *actions = (on for _, on in self._plan(attempt).deeds)
        return actions.count(target) or int(attempt.target == target)

    @invariant()
    def no_cap_is_exceeded(self) -> None:
        attempts = self._attempts()
        for first in attempts:
            within = [a for a in attempts if timedelta(0) <= a.started_at - first.started_at < HOUR]
            assert len(within) <= SETTINGS.cap_per_site
            for strategy, target in self._plan(first).deeds:
                assert _room([self._with(a, strategy) for a in within], SETTINGS.cap_per_strategy)
                assert _room([self._on(a, target) for a in within], SETTINGS.cap_per_target)

    @invariant()
    def no_more_of_a_group_at_once_than_its_share(self) -> None:
        # What waits for its turn acts on nothing, and is looked at again when it starts.
        loads = {by for target, by in self.started.items() if "load" in target.casefold()}
        assert len(loads) <= 2

    @invariant()
    def nobody_is_refused_for_nothing(self) -> None:
        assert not self.refused_for_nothing

    @invariant()
    def the_claims_are_what_runs(self) -> None:
        with self.site.database.reading() as session:
            assert store.held(session) == self.started


def _room(times: list[int], most: int) -> bool:
    """Whether each began with room for one more; a playbook that did may use more than that."""
    return sum(times) - max(times) < most


TestGovernor = Governor.TestCase
TestGovernor.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
