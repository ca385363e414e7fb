"""The track record of strategies: what outcomes count, and the interval that people are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.engine import Database
from app.decision.settings import DecisionSettings
from app.diagnosis.choose import TrackRecord
from app.remediation.outcome import Ended, Outcome
from app.remediation.record import interval, strategy_records
from app.remediation.store import end, records
from tests.diagnosis import small
from tests.situations import NOW, RETRY

COUNTS = st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


def ended(database: Database, *ends: Ended, strategy: str = RETRY) -> None:
    with database.writing() as session:
        for number, how in enumerate(ends):
            end(
                session,
                Outcome(
                    remediation_id=f"{strategy}-{number}",
                    incident_id="inc_1",
                    strategy=strategy,
                    target="t",
                    ended=how,
                    at=NOW,
                    says="",
                ),
            )


class TestRecords:
    def test_what_was_tried_to_the_end_counts(self, database: Database) -> None:
        ended(
            database,
            Ended.VERIFIED,
            Ended.VERIFIED,
            Ended.UNDONE,
            Ended.STUCK,
            Ended.STOPPED,
            Ended.HANDED_OVER,
        )
        with database.reading() as session:
            assert records(session) == {RETRY: TrackRecord(successes=2, trials=4)}

    def test_each_strategy_has_its_own(self, database: Database) -> None:
        ended(database, Ended.VERIFIED)
        ended(database, Ended.UNDONE, strategy="recover_service")
        with database.reading() as session:
            assert records(session) == {
                RETRY: TrackRecord(successes=1, trials=1),
                "recover_service": TrackRecord(successes=0, trials=1),
            }

    def test_the_first_end_stands(self, database: Database) -> None:
        ended(database, Ended.VERIFIED)
        ended(database, Ended.UNDONE)
        with database.reading() as session:
            assert records(session) == {RETRY: TrackRecord(successes=1, trials=1)}

    def test_none_yet(self, database: Database) -> None:
        with database.reading() as session:
            assert records(session) == {}


class TestInterval:
    @pytest.mark.parametrize(
        ("successes", "trials", "low", "high"),
        [
            # From tables of the exact 95 % binomial interval.
            (0, 10, 0.0, 0.3085),
            (1, 10, 0.0025, 0.4450),
            (5, 10, 0.1871, 0.8129),
            (10, 10, 0.6915, 1.0),
            (14, 17, 0.5657, 0.9620),
            (0, 1, 0.0, 0.975),
            (1, 1, 0.025, 1.0),
            (81, 263, 0.2527, 0.3676),
        ],
    )
    def test_known_values(self, successes: int, trials: int, low: float, high: float) -> None:
        assert interval(successes, trials) == pytest.approx((low, high), abs=1e-4)

    @given(counts=COUNTS)
    def test_it_holds_the_rate_and_stays_within_bounds(self, counts: tuple[int, int]) -> None:
        successes, trials = counts
        low, high = interval(successes, trials)
        assert 0 <= low <= successes / trials <= high <= 1

    @given(counts=COUNTS)
    def test_failures_mirror_successes(self, counts: tuple[int, int]) -> None:
        successes, trials = counts
        low, high = interval(successes, trials)
        assert interval(trials - successes, trials) == pytest.approx((1 - high, 1 - low))

    def test_more_trials_make_it_narrower(self) -> None:
        widths = [high - low for low, high in (interval(n // 2, n) for n in (2, 10, 50, 250))]
        assert widths == sorted(widths, reverse=True)


class TestStrategyRecords:
    def test_every_strategy_with_what_it_showed_here(self, database: Database) -> None:
        ended(database, Ended.VERIFIED, Ended.VERIFIED, Ended.UNDONE)
        with database.reading() as session:
            found = {
                one.strategy: one
                for one in strategy_records(session, small.taxonomy(), [RETRY], DecisionSettings())
            }
        assert list(found) == list(small.taxonomy().strategies)
        one = found[RETRY]
        assert (one.successes, one.trials, one.registered) == (2, 3, True)
        assert one.success == pytest.approx((0.85 * 4 + 2) / 7, abs=1e-4)
        assert (one.low, one.high) == pytest.approx((0.0943, 0.9916), abs=1e-4)
        never = found["rollback_deployment"]
        assert (never.trials, never.low, never.high, never.registered) == (0, None, None, False)
        assert never.success == never.prior
