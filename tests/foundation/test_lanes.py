import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest

from app.foundation.lanes import Lane

INCIDENT: contextvars.ContextVar[str] = contextvars.ContextVar("incident", default="none")


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane("heavy", 2)
    yield made
    made.close()


class TestSubmit:
    def test_it_runs_on_a_thread_of_its_name(self, lane: Lane) -> None:
        assert lane.submit(lambda: threading.current_thread().name).result(5).startswith("heavy")

    def test_context_variables_travel(self, lane: Lane) -> None:
        token = INCIDENT.set("inc_1")
        first = lane.submit(INCIDENT.get)
        INCIDENT.reset(token)
        second = lane.submit(INCIDENT.get)
        assert (first.result(5), second.result(5)) == ("inc_1", "none")

    def test_what_is_set_there_stays_there(self, lane: Lane) -> None:
        lane.submit(INCIDENT.set, "inc_2").result(5)
        assert INCIDENT.get() == "none"
        assert lane.submit(INCIDENT.get).result(5) == "none"

    def test_arguments_and_errors_pass_through(self, lane: Lane) -> None:
        assert lane.submit(int, "ff", base=16).result(5) == 255
        with pytest.raises(ValueError, match="invalid literal"):
            lane.submit(int, "x").result(5)

    def test_one_slow_call_does_not_hold_up_the_caller(self, lane: Lane) -> None:
        gate = threading.Event()
        slow = [lane.submit(gate.wait, 10) for _ in range(2)]
        waiting = lane.submit(lambda: "later")
        assert not waiting.done()
        gate.set()
        assert waiting.result(5) == "later"
        assert all(call.result(5) for call in slow)


class TestRun:
    def test_it_is_awaited_and_carries_the_context(self, lane: Lane) -> None:
        async def ask() -> str:
            INCIDENT.set("inc_3")
            return await lane.run(INCIDENT.get)

        assert asyncio.run(ask()) == "inc_3"


class TestClose:
    def test_running_work_finishes_and_the_rest_is_dropped(self) -> None:
        lane, gate, begun = Lane("closing", 1), threading.Event(), threading.Event()

        def work() -> str:
            begun.set()
            gate.wait(10)
            return "done"

        running = lane.submit(work)
        dropped = lane.submit(lambda: "never")
        assert begun.wait(5)
        threading.Timer(0.05, gate.set).start()
        lane.close()
        assert running.result(0) == "done"
        assert dropped.cancelled()
