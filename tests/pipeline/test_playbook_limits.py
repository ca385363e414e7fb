"""A playbook and single repairs before the governor, over real rows: what one did counts for the other."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.db.engine import Database, sqlite_url
from app.decision import store as decisions
from app.decision.decide import Decide, default_gates
from app.decision.decision import Effect
from app.decision.freeze import NoFreeze
from app.decision.policy import FixedPolicy, Policy, Trust
from app.decision.settings import DecisionSettings
from app.knowledge.playbook import Action
from app.pipeline.pipeline import Next
from app.remediation import store
from app.remediation.outcome import ActionEnd, Ended
from app.tables import metadata
from tests.pipeline.governed import Governed, entry, named
from tests.situations import NOW

RETRY, RECOVER = "retry_with_exponential_backoff", "recover_service"
LOAD, SHOP = (entry(name, RETRY, RECOVER) for name in ("load", "checkout"))
LOAD_KEY, SHOP_KEY = "shop/job/load", "shop/job/checkout"
NIGHTLY = "playbook:nightly"
ACTIONS = (Action(strategy=RETRY), Action(strategy=RECOVER, target=SHOP_KEY))
POLICY = Policy(rules=(), trust=(Trust(name="all", because="there is no time to prove it"),))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Governed]:
    database = Database(sqlite_url(tmp_path / "mendline.db"))
    metadata.create_all(database.engine)
    site = Governed(tmp_path, database, POLICY, DecisionSettings(blast_share=1.0), [LOAD, SHOP])
    yield site
    site.close()


def nightly(site: Governed) -> Next:
    return site.happen(named(LOAD), NIGHTLY, actions=ACTIONS)


def ran(site: Governed, second: str = "verified") -> None:
    """The playbook, to its end; how its second action ended."""
    begun = nightly(site)
    assert begun.effect is Effect.ACT
    assert site.pipeline.still(begun.remediation_id) == ""
    ends = (
        ActionEnd(number=1, strategy=RETRY, target=LOAD_KEY, result="verified"),
        ActionEnd(number=2, strategy=RECOVER, target=SHOP_KEY, result=second),
    )
    site.acts.end(begun.remediation_id, Ended.VERIFIED, "so it went", "", ends)


def why(site: Governed) -> str:
    """What was said of the one repair that was held back."""
    with site.database.reading() as session:
        found = [one.decision for one in decisions.history(session, NOW)]
    (says,) = [decision.says for decision in found if decision.effect is Effect.ESCALATE]
    return says


@pytest.mark.parametrize("hours", [0, 5])
def test_what_an_action_did_is_not_done_again_alone(site: Governed, hours: int) -> None:
    ran(site)
    site.clock.advance(timedelta(hours=hours))
    again = site.happen(named(SHOP), RECOVER)
    assert again.effect is Effect.ESCALATE
    assert f"{RECOVER} ran on {SHOP_KEY}" in why(site)
    assert site.happen(named(SHOP), RETRY).effect is Effect.ACT


@pytest.mark.parametrize("result", ["skipped", "not reached"])
def test_an_action_that_did_not_run_counts_for_nothing(site: Governed, result: str) -> None:
    ran(site, result)
    assert site.happen(named(SHOP), RECOVER).effect is Effect.ACT
    assert site.happen(named(LOAD), RETRY).effect is Effect.ESCALATE


def test_what_was_done_alone_is_not_done_again_in_a_playbook(site: Governed) -> None:
    alone = site.happen(named(SHOP), RECOVER)
    site.end(alone.remediation_id, Ended.UNDONE)
    site.clock.advance(timedelta(hours=5))
    held = nightly(site)
    assert held.effect is Effect.ESCALATE
    assert f"{RECOVER} ran on {SHOP_KEY}" in why(site)
    site.clock.advance(timedelta(hours=2))
    assert nightly(site).effect is Effect.ACT


def test_what_happens_before_it_starts_stops_it(site: Governed) -> None:
    alone = site.happen(named(SHOP), RECOVER)
    waits = nightly(site)
    assert (waits.effect, alone.effect) == (Effect.ACT, Effect.ACT)
    site.end(alone.remediation_id, Ended.VERIFIED)
    assert f"{RECOVER} ran on {SHOP_KEY}" in site.pipeline.still(waits.remediation_id)


def test_only_playbooks_that_acted_on_a_target_are_told_of_after_an_hour(site: Governed) -> None:
    ran(site)
    site.clock.advance(timedelta(hours=3))
    with site.database.reading() as session:

        def told(*targets: str) -> list[tuple[tuple[str, str], ...]]:
            return [one.actions for one in store.attempts(session, site.clock.now(), targets)]

        both = ((RETRY, LOAD_KEY), (RECOVER, SHOP_KEY))
        assert told() == told("shop/job/other") == []
        assert told(LOAD_KEY) == told(SHOP_KEY) == [both]


def test_what_was_recorded_is_decided_again_the_same(site: Governed) -> None:
    ran(site)
    site.clock.advance(timedelta(minutes=1))
    nightly(site)
    site.clock.advance(timedelta(minutes=1))
    site.happen(named(SHOP), RECOVER)
    decide = Decide(default_gates(FixedPolicy(POLICY), DecisionSettings(blast_share=1.0), NoFreeze()))
    with site.database.reading() as session:
        history = list(decisions.history(session, NOW))
    assert [one.decision.effect for one in history] == [Effect.ACT, Effect.ESCALATE, Effect.ESCALATE]
    for one in history:
        assert one.situation is not None
        effect, verdicts, says = decide.decide(one.situation, one.decision.at)
        assert (effect, verdicts, says) == (one.decision.effect, one.decision.verdicts, one.decision.says)
