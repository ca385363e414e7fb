import pytest
from pydantic import ValidationError

from app.foundation.record import Record


class Point(Record):
    x: int
    y: int = 0


class TestRecord:
    def test_it_does_not_change(self) -> None:
        with pytest.raises(ValidationError):
            Point(x=1).x = 2  # type: ignore[misc]

    def test_a_field_that_it_does_not_know_is_an_error(self) -> None:
        with pytest.raises(ValidationError):
            Point(x=1, z=2)  # type: ignore[call-arg]

    def test_equal_values_are_equal_and_count_as_one(self) -> None:
        assert len({Point(x=1), Point(x=1, y=0)}) == 1
