"""Stretches: what is recorded between two sleeps is enough to find the place again, in another process too."""

from typing import Any

import pytest

from app.pipeline.stretch import Stretch, Stretches
from app.remediation.remediate import Durable


class World:
    """Three steps with a sleep between each two; `ran` is what was really run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.names: list[str] = []
        self.fails = ""
        self.last = "c"

    def run(self, word: str) -> str:
        if self.fails == word:
            raise OSError(f"{word} failed")
        self.ran.append(word)
        return word.upper()

    async def body(self, durable: Durable) -> str:
        first = await durable.step("first", self.run, "a")
        also = await durable.step("also", self.run, "b")
        await durable.sleep(3)
        last = await durable.step(f"last {self.last}", self.run, self.last)
        await durable.sleep(5)
        return first + also + last

    def begin(self, *kept: Stretch) -> Stretches[str]:
        def around(name: str, call: Any) -> Any:
            self.names.append(name)
            return call()

        made = Stretches(self.body, around)
        for stretch in kept:
            made.keep(stretch)
        return made


def test_from_sleep_to_sleep_to_the_end() -> None:
    world = World()
    made, found = world.begin(), []
    for _ in range(3):
        found.append(made.on())
        made.keep(found[-1])
    assert [stretch.sleep for stretch in found] == [3, 5, None]
    assert [dict(stretch.gave) for stretch in found] == [{"first": "A", "also": "B"}, {"last c": "C"}, {}]
    assert (found[-1].result, world.ran, world.names) == ("ABC", ["a", "b", "c"], ["first", "also", "last c"])


@pytest.mark.parametrize("kept", [1, 2])
def test_another_process_goes_on_from_what_was_recorded(kept: int) -> None:
    world = World()
    made, found = world.begin(), []
    for _ in range(kept):
        found.append(made.on())
        made.keep(found[-1])
    world.ran.clear()
    other = world.begin(*found)
    while (stretch := other.on()).sleep is not None:
        other.keep(stretch)
    assert (stretch.result, world.ran) == ("ABC", ["c"] if kept == 1 else [])


def test_a_step_that_raises_runs_again_and_those_before_it_do_not() -> None:
    world = World()
    made = world.begin()
    world.fails = "b"
    with pytest.raises(OSError, match="b failed"):
        made.on()
    world.fails = ""
    stretch = made.on()
    assert (world.ran, dict(stretch.gave)) == (["a", "b"], {"first": "A", "also": "B"})


def test_all_of_a_stretch_that_failed_is_recorded_once_it_ran() -> None:
    world = World()
    made = world.begin()
    made.keep(made.on())
    world.fails = "c"
    with pytest.raises(OSError, match="c failed"):
        made.on()
    world.fails = ""
    stretch = made.on()
    assert (stretch.first, dict(stretch.gave), world.ran) == (2, {"last c": "C"}, ["a", "b", "c"])


def test_a_body_that_takes_another_way_is_stopped() -> None:
    world = World()
    made = world.begin()
    first = made.on()
    made.keep(first)
    second = made.on()
    world.last = "d"
    other = world.begin(first, second)
    with pytest.raises(ValueError, match="step 2 was 'last c' and is 'last d' now"):
        other.on()
