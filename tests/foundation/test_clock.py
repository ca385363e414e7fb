from datetime import UTC, datetime, timedelta, timezone

from app.foundation.clock import FrozenClock, SystemClock


class TestSystemClock:
    def test_it_is_aware_and_in_utc(self) -> None:
        before, now, after = datetime.now(UTC), SystemClock().now(), datetime.now(UTC)
        assert now.tzinfo is UTC
        assert before <= now <= after


class TestFrozenClock:
    def test_it_stands_still_until_it_is_moved(self) -> None:
        clock = FrozenClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
        assert clock.now() == clock.now() == datetime(2026, 11, 20, 12, tzinfo=UTC)
        clock.advance(timedelta(minutes=5))
        assert clock.now() == datetime(2026, 11, 20, 12, 5, tzinfo=UTC)

    def test_it_can_jump_back(self) -> None:
        clock = FrozenClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
        clock.advance(timedelta(hours=-13))
        assert clock.now() == datetime(2026, 11, 19, 23, tzinfo=UTC)

    def test_another_zone_is_told_in_utc(self) -> None:
        clock = FrozenClock(datetime(2026, 11, 20, 14, tzinfo=timezone(timedelta(hours=2))))
        assert clock.now().tzinfo is UTC
        assert clock.now().hour == 12
