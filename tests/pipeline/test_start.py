"""Starting a repair: one transaction that sees every pause and takes the target, on both databases."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import create_engine, text

from app.db.engine import Database, sqlite_url
from app.decision.decision import Effect
from app.decision.policy import Policy, Rule, Trust, When
from app.decision.settings import DecisionSettings
from app.pipeline.pipeline import BUSY
from app.remediation import approve, store
from app.remediation.approve import Answer
from app.remediation.outcome import Ended
from app.tables import metadata
from tests.pipeline.governed import Governed, entry, named

RETRY, RECOVER = "retry_with_exponential_backoff", "recover_service"
LOAD, OTHER = entry("load", RETRY, RECOVER), entry("other", RETRY, RECOVER)
SETTINGS = DecisionSettings(cooldown_most=100, cap_per_target=100, blast_share=1, repeat_most=9, chain_most=9)
TRUST = (Trust(name="all", because="there is no time to prove it"),)
ASK = Rule(name="look", when=When(strategy=(RECOVER,)), then="ask", because="so")  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of its own."""
    if request.param == "sqlite":
        yield Database(sqlite_url(tmp_path / "test.db"))
        return
    server, name = request.getfixturevalue("postgres_url"), f"start_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield Database(server.replace("/postgres?", f"/{name}?"))
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    admin.dispose()


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Governed]:
    metadata.create_all(database.engine)
    made = Governed(tmp_path, database, Policy(rules=(ASK,), trust=TRUST), SETTINGS, [LOAD, OTHER])
    yield made
    made.close()


def begun(site: Governed, target: dict[str, object] = LOAD, strategy: str = RETRY) -> str:
    """A repair that may act and has not started."""
    next_ = site.happen(named(target), strategy)
    assert next_.effect is Effect.ACT
    return next_.remediation_id


class TestClaim:
    def test_a_second_repair_of_the_target_waits_until_the_first_has_ended(self, site: Governed) -> None:
        first, second, elsewhere = begun(site), begun(site), begun(site, OTHER)
        still = site.pipeline.still
        assert [still(first), still(second), still(elsewhere)] == ["", BUSY, ""]
        assert still(first) == "", "the same start again"
        site.end(first, Ended.VERIFIED)
        assert still(second) == ""
        site.end(first, Ended.VERIFIED)  # an end that runs twice lets go of nothing of others
        with site.database.reading() as session:
            assert set(store.held(session).values()) == {second, elsewhere}

    def test_who_waits_longest_is_next(self, site: Governed) -> None:
        still, clock = site.pipeline.still, site.clock
        first = begun(site)
        clock.advance(timedelta(seconds=10))
        second = begun(site)
        clock.advance(timedelta(seconds=10))
        site.end(first, Ended.VERIFIED)
        third = begun(site)
        assert still(third) == BUSY, "the target is free, and another one has waited for it"
        assert still(second) == ""
        site.end(second, Ended.VERIFIED)
        assert still(third) == ""

    def test_of_many_at_once_one_gets_it(self, site: Governed) -> None:
        repairs = [begun(site) for _ in range(6)]
        ready = threading.Barrier(len(repairs))

        def start(remediation_id: str) -> str:
            ready.wait(20)
            return site.pipeline.still(remediation_id)

        with ThreadPoolExecutor(len(repairs)) as pool:
            said = list(pool.map(start, repairs))
        assert sorted(said) == ["", *[BUSY] * 5]

    def test_what_is_claimed_past_the_gates_is_refused_by_the_table(self, site: Governed) -> None:
        first, second = (site.acts.load(begun(site)) for _ in range(2))
        with site.database.writing() as session:
            assert store.hold(session, first.id, [first.target], site.clock.now())
        with site.database.writing() as session:
            assert not store.hold(session, second.id, [second.target], site.clock.now())


class TestDefect:
    def test_a_repair_that_our_own_defect_cut_off_is_handed_over_and_lets_go(self, site: Governed) -> None:
        cut_off = begun(site)
        assert site.pipeline.still(cut_off) == ""
        site.pipeline.broke(cut_off, "ValueError: no such thing")
        with site.database.reading() as session:
            outcome = store.outcome(session, cut_off)
            assert store.held(session) == {}
        assert outcome is not None
        assert (outcome.ended, outcome.says) == (
            Ended.HANDED_OVER,
            "Mendline failed in the middle of it: ValueError: no such thing",
        )

    def test_an_answer_that_could_not_be_followed_is_not_tried_for_ever(self, site: Governed) -> None:
        site.happen(named(LOAD), RECOVER)
        (waiting,) = site.waiting()
        with site.database.writing() as session:
            approve.answer(session, waiting.id, Answer.APPROVED, actor="ada", at=site.clock.now())
        assert site.pipeline.unfollowed() == [waiting.id]
        site.pipeline.not_followed(waiting.id, "ValueError: no such thing")
        assert site.pipeline.unfollowed() == []


class TestPause:
    def test_what_was_begun_before_does_not_start_after_it(self, site: Governed) -> None:
        first, second = begun(site), begun(site, OTHER)
        assert site.pipeline.still(first) == ""
        site.acts.snapshot(first)
        site.pause(True)
        assert "paused by ada" in site.pipeline.still(second)
        assert site.pipeline.still(first) == "", "it has started before"

    def test_among_starts_from_many_sides_none_comes_after_it_in_the_databases_own_order(
        self, site: Governed
    ) -> None:
        targets = [entry(f"job-{n}", RETRY) for n in range(12)]
        site.targets.path.write_text(yaml.safe_dump({"targets": targets}))
        ready = threading.Barrier(4)

        def start(some: list[dict[str, object]]) -> None:
            ready.wait(20)
            for target in some:
                site.happen(named(target), RETRY)

        with ThreadPoolExecutor(3) as pool:
            going = [pool.submit(start, targets[n::3]) for n in range(3)]
            ready.wait(20)
            site.pause(True)
            with site.database.reading() as session:
                started = store.held(session)
            for one in going:
                one.result(30)
        with site.database.reading() as session:
            assert store.held(session) == started


class TestIdentity:
    @pytest.mark.parametrize(
        "disguise", [{"name": "load@production", "environment": ""}, {"kind": "", "name": "job/load"}]
    )
    def test_a_target_that_is_written_alike_is_not_the_registered_one(
        self, site: Governed, disguise: dict[str, str]
    ) -> None:
        site.targets.path.write_text(
            yaml.safe_dump({"targets": [entry("load", RETRY, environment="production"), LOAD]})
        )
        alike = named(entry("load", RETRY, environment="production")).model_copy(update=disguise)
        assert site.happen(alike, RETRY).effect is Effect.ESCALATE


def test_an_approval_of_one_is_not_enough_where_the_policy_wants_two_by_now(
    database: Database, tmp_path: Path
) -> None:
    metadata.create_all(database.engine)
    two = ASK.model_copy(update={"people": 2})
    one, changed = (
        Governed(tmp_path, database, Policy(rules=(rule,), trust=TRUST), SETTINGS, [LOAD])
        for rule in (ASK, two)
    )
    one.happen(named(LOAD), RECOVER)
    (approval,) = one.waiting()
    next_ = changed.answer(approval, "ada")
    assert next_ is not None
    assert next_.effect is Effect.ASK
    (again,) = changed.waiting()
    assert again.people == 2
    assert changed.answer(again, "ada") is None
    after = changed.answer(again, "bob")
    assert after is not None
    assert after.effect is Effect.ACT
    begun = changed.acts.load(after.remediation_id)
    assert (begun.approved_by, begun.approvers) == ("ada and bob", 2)
    assert changed.pipeline.still(begun.id) == ""
    changed.clock.advance(timedelta(hours=1))
    one.close()
    changed.close()
