"""Shadow through the real pipeline: nothing runs, a person is told, and what they then do is the score."""

from datetime import timedelta

import pytest

from app.decision.decision import Effect
from app.decision.mode import Mode
from app.decision.plan import Risk
from app.decision.settings import DecisionSettings
from app.incidents import store as incidents
from app.incidents.incident import State
from app.remediation import store
from app.remediation.approve import Answer
from app.remediation.outcome import Ended
from app.remediation.shadow import Score, Shadow, ShadowReport, judged, shadow_report, shadows
from tests.pipeline.conftest import MESSAGE, Found, Site
from tests.situations import NOW, RETRY


def only(site: Site) -> Shadow:
    """The one shadow decision."""
    with site.database.reading() as session:
        (one,) = shadows(session, site.taxonomy)
    return one


def reported(site: Site) -> ShadowReport:
    with site.database.reading() as session:
        return shadow_report(session, site.taxonomy, DecisionSettings(), NOW - timedelta(days=1))


@pytest.fixture
def left(site: Site) -> str:
    """An incident of `orders` that was decided in shadow."""
    site.mode(Mode.SHADOW, strategy=RETRY)
    return site.incident(site.job("orders"))


class TestNothingRuns:
    def test_it_is_decided_planned_and_left_to_a_person(self, site: Site, left: str) -> None:
        (decision,) = site.decided(left)
        assert (decision.effect, decision.would, decision.strategy) == (Effect.SHADOW, Effect.ACT, RETRY)
        assert decision.plan is not None
        assert decision.says.startswith(
            "tells a person and does not act: in shadow by ada: a trial; live, it runs"
        )
        with site.database.reading() as session:
            (outcome,) = store.outcomes_of(session, left)
            assert incidents.get(session, left).state is State.FIRING
        assert (outcome.ended, outcome.strategy) == (Ended.HANDED_OVER, "escalate_to_human")
        assert site.jobs.acted == 0

    def test_what_would_ask_is_not_asked(self, site: Site) -> None:
        site.mode(Mode.SHADOW)
        (decision,) = site.decided(site.incident(site.job("orders", "ask")))
        assert (decision.effect, decision.would) == (Effect.SHADOW, Effect.ASK)
        assert "live, it asks a person first: the policy's rule 'asked-for'" in decision.says

    def test_what_is_blocked_is_no_shadow(self, site: Site) -> None:
        site.mode(Mode.SHADOW)
        (decision,) = site.decided(site.incident(site.job("orders", "frozen")))
        assert decision.effect is Effect.ESCALATE

    def test_only_where_it_was_set(self, site: Site) -> None:
        site.mode(Mode.SHADOW, type="network_timeout", environment="Staging")
        (shadowed,) = site.decided(site.incident(site.job("orders", "staging")))
        (live,) = site.decided(site.incident(site.job("payments", "production")))
        assert (shadowed.effect, live.effect) == (Effect.SHADOW, Effect.ACT)

    def test_from_a_risk_on(self, found: Found) -> None:
        site = found(shadow_from=Risk.LOW)
        first = site.incident(site.job("orders"))
        site.mode(Mode.LIVE, strategy=RETRY)
        second = site.incident(site.job("payments"))
        assert [site.decided(one)[0].effect for one in (first, second)] == [Effect.SHADOW, Effect.ACT]
        assert "plans of low risk start so here" in site.decided(first)[0].says

    def test_an_approval_from_before_does_not_pass(self, site: Site) -> None:
        asked = site.incident(site.job("orders", "ask"))
        site.mode(Mode.SHADOW)
        site.answer(asked, Answer.APPROVED)
        assert [decision.effect for decision in site.decided(asked)] == [Effect.ASK, Effect.SHADOW]
        assert site.jobs.acted == 0

    def test_a_queued_repair_is_stopped(self, site: Site) -> None:
        target = site.job("orders")
        begun = site.incident(target)
        with site.database.reading() as session:
            (repair,) = store.of_incident(session, begun)
        site.mode(Mode.SHADOW)
        with site.database.writing() as session:
            session.connection().exec_driver_sql("UPDATE incident SET state = 'firing'")
            session.connection().exec_driver_sql("DELETE FROM outcome")
        assert "in shadow by ada" in site.pipeline.still(repair.id)


class TestScore:
    def test_nobody_has_said_anything(self, site: Site, left: str) -> None:
        one = only(site)
        assert (one.score, one.hours, one.ran) == (Score.OPEN, None, False)
        assert (one.incident_id, one.target, one.type) == (left, "shop/job/orders", "network_timeout")

    @pytest.mark.parametrize(
        ("type_", "score"), [("service_unavailable", Score.CLEAN), ("permission_denied", Score.WRONG)]
    )
    def test_a_person_says_what_it_was(self, site: Site, left: str, type_: str, score: Score) -> None:
        site.label(left, type_)
        one = only(site)
        assert one.score is score
        assert one.says.startswith(f"ada says that it is {type_}, which {RETRY}")

    def test_the_last_word_counts(self, site: Site, left: str) -> None:
        site.label(left, "network_timeout")
        site.label(left, "permission_denied")
        assert only(site).score is Score.WRONG

    def test_resolved_without_a_word_it_stays_open(self, site: Site, left: str) -> None:
        site.move(left, State.RESOLVED)
        one = only(site)
        assert one.score is Score.OPEN
        assert "nobody has said what it was" in one.says
        site.label(left, "network_timeout")
        assert only(site).score is Score.CLEAN

    def test_it_went_away_before_anybody_touched_it(self, site: Site, left: str) -> None:
        site.move(left, State.RESOLVED, actor="source:alertmanager")
        assert (only(site).score, only(site).says) == (Score.WRONG, "it went away before anybody touched it")
        site.label(left, "network_timeout")  # right, and needless all the same
        assert only(site).score is Score.WRONG

    def test_it_recovered_under_somebody_s_hands(self, site: Site, left: str) -> None:
        site.move(left, State.ACKNOWLEDGED)
        site.move(left, State.RESOLVED, actor="source:alertmanager")
        assert only(site).score is Score.OPEN
        site.label(left, "network_timeout")
        assert only(site).score is Score.CLEAN

    @pytest.mark.parametrize(("fail", "score"), [(0, Score.CLEAN), (100, Score.WRONG)])
    def test_the_same_repair_ran_later(self, site: Site, left: str, fail: int, score: Score) -> None:
        site.jobs.fail = fail
        site.mode(Mode.LIVE, strategy=RETRY)
        site.heal_again(left)
        one = only(site)
        assert (one.score, one.ran) == (score, True)
        with site.database.reading() as session:
            # Its own outcome is counted already.
            assert [known.right for known in judged(session, site.taxonomy)[RETRY]] == [score is Score.CLEAN]

    def test_what_was_done_after_the_next_one_is_the_next_one_s(self, site: Site, left: str) -> None:
        site.heal_again(left)
        site.label(left, "network_timeout")
        with site.database.reading() as session:
            assert [one.score for one in shadows(session, site.taxonomy)] == [Score.OPEN, Score.CLEAN]

    def test_hours_are_those_beyond_the_plan_s_own(self, site: Site, left: str) -> None:
        site.label(left, "network_timeout")
        assert only(site).hours is None
        plan = site.decided(left)[0].plan
        assert plan is not None
        site.clock.advance(timedelta(hours=2))
        site.move(left, State.RESOLVED)
        own = plan.within + plan.settle + sum(step.after for step in plan.steps)
        # Two moves of the clock by a minute each stand in between.
        assert only(site).hours == pytest.approx(2 + 2 / 60 - own / 3600, abs=0.001)


class TestReport:
    def test_nothing_yet(self, site: Site) -> None:
        assert (reported(site).strategies, reported(site).decisions) == ((), ())

    def test_by_strategy_with_the_bound_and_what_is_still_needed(self, site: Site) -> None:
        site.mode(Mode.SHADOW)
        said = ["network_timeout"] * 3 + ["permission_denied", ""]
        for number, type_ in enumerate(said):
            incident_id = site.incident(site.job(f"job-{number}"), f"{MESSAGE.format('orders')} for {number}")
            if type_:
                site.label(incident_id, type_)
        found = reported(site)
        (one,) = found.strategies
        assert (one.strategy, one.decisions, one.clean, one.wrong, one.open) == (RETRY, 5, 3, 1, 1)
        # 1 - the upper bound on 1 wrong of 4 at 95 %: Clopper-Pearson's 0.7514.
        assert (one.precision, one.at_least) == (0.75, pytest.approx(0.2486, abs=1e-4))
        assert (one.guarantee.outcomes, one.guarantee.wrong) == (4, 1)
        assert [wrong.score for wrong in found.wrong] == [Score.WRONG]
        assert found.decisions[0].at > found.decisions[-1].at

    def test_of_another_strategy_nothing_counts(self, site: Site, left: str) -> None:
        site.label(left, "network_timeout")
        with site.database.reading() as session:
            assert list(judged(session, site.taxonomy, RETRY)) == [RETRY]
            assert judged(session, site.taxonomy, "recover_service") == {}
