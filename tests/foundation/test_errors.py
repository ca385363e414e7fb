from collections.abc import Iterator

import pytest

from app.foundation import errors
from app.foundation.errors import Broken, Busy, MendlineError, Refused, Unavailable


def family(kind: type[MendlineError]) -> Iterator[type[MendlineError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


ALL = list(family(MendlineError))


class TestFates:
    def test_what_the_caller_can_mend_is_a_4xx(self) -> None:
        assert all(400 <= kind.status < 500 for kind in family(Refused))

    def test_the_others_are_ours(self) -> None:
        assert (Unavailable.status, Broken.status) == (503, 500)

    def test_every_fact_has_its_own_code(self) -> None:
        facts = [kind for kind in ALL if kind is not MendlineError]
        assert len({kind.code for kind in facts}) == len(facts)


class TestWhatTheyCarry:
    @pytest.mark.parametrize(
        "kind", [kind for kind in ALL if kind is not Busy], ids=lambda kind: kind.__name__
    )
    def test_the_sentence_is_what_is_shown(self, kind: type[MendlineError]) -> None:
        error = kind("the disk is full")
        assert (error.says, str(error), error.places) == ("the disk is full", "the disk is full", ())

    def test_places_are_kept_in_order(self) -> None:
        error = Refused("two are wrong", places=[("a", "no"), ("b", "no")])
        assert error.places == (("a", "no"), ("b", "no"))

    def test_when_to_come_back_is_in_seconds(self) -> None:
        assert Unavailable("not yet").retry_after == 1.0
        assert Unavailable("not yet", retry_after=3).retry_after == 3
        assert Busy("slower", 0.5).retry_after == 0.5
