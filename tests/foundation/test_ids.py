from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.foundation.ids import derived_id, new_id

CROCKFORD = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")  # no I, L, O, U
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def shape(found: str, prefix: str) -> None:
    """An id is its prefix and 26 characters of the alphabet."""
    head, _, tail = found.rpartition("_")
    assert head == prefix
    assert len(tail) == 26
    assert set(tail) <= CROCKFORD


class TestNewId:
    @given(at=TIMES)
    def test_it_has_the_shape(self, at: datetime) -> None:
        shape(new_id("inc", at), "inc")

    @given(at=TIMES, later=st.integers(1, 10**10))
    def test_it_sorts_by_age(self, at: datetime, later: int) -> None:
        assert new_id("inc", at) < new_id("inc", at + timedelta(milliseconds=later + 1))

    def test_many_in_one_millisecond_differ(self) -> None:
        assert len({new_id("inc", AT) for _ in range(2000)}) == 2000


class TestDerivedId:
    @given(parts=st.lists(st.text(), max_size=4))
    def test_the_same_parts_give_the_same_id(self, parts: list[str]) -> None:
        found = derived_id("evt", *parts)
        shape(found, "evt")
        assert derived_id("evt", *parts) == found

    @given(
        one=st.lists(st.text(alphabet=st.characters(exclude_characters="\x1f")), min_size=1, max_size=3),
        other=st.lists(st.text(alphabet=st.characters(exclude_characters="\x1f")), min_size=1, max_size=3),
    )
    def test_other_parts_give_another(self, one: list[str], other: list[str]) -> None:
        assert (derived_id("evt", *one) == derived_id("evt", *other)) == (one == other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [(("a", "b"), ("b", "a")), (("ab", "c"), ("a", "bc")), (("a",), ("a", "")), (("a",), ("A",))],
    )
    def test_order_and_borders_count(self, one: tuple[str, ...], other: tuple[str, ...]) -> None:
        assert derived_id("evt", *one) != derived_id("evt", *other)

    def test_it_stays_the_same_over_releases(self) -> None:
        # Stored ids are compared with derived ones: changing the hash would lose every one of them.
        assert derived_id("evt", "github", "run-1") == "evt_65VSJPJEHH9JQMVT7FETZK7HSR"

    def test_half_a_surrogate_pair_is_no_error(self) -> None:
        shape(derived_id("evt", "\ud83d"), "evt")
