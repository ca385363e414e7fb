"""The inbox: many requests, one commit; on its real thread."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from app.foundation.errors import Busy, Unavailable
from app.intake.event import Accepted, Event, Report
from app.intake.inbox import Inbox

SOON = 30  # seconds; only a broken inbox waits this long


def event(name: str) -> Event:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return Event(id=name, received_at=at, source="s", template="m", report=Report(message="m"))


def events(*names: str) -> list[Event]:
    return [event(name) for name in names]


class Commits:
    """A commit that notes what it was given, waits at a gate while that is closed, and can fail."""

    def __init__(self, fails_on: str = "") -> None:
        self.groups: list[list[str]] = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self._fails_on = fails_on

    def __call__(self, given: Sequence[Event]) -> list[Accepted]:
        self.groups.append([event.id for event in given])
        self.begun.set()
        assert self.gate.wait(SOON)
        if self._fails_on in self.groups[-1]:
            raise OSError("the disk is full")
        return [
            Accepted(event_id=event.id, incident_id=f"inc_{event.id}", duplicate=False) for event in given
        ]


@contextmanager
def running(commits: Commits, **limits: int) -> Iterator[Inbox]:
    inbox = Inbox(commits, **limits)
    try:
        yield inbox
    finally:
        commits.gate.set()
        inbox.close()


async def held(inbox: Inbox, commits: Commits) -> "asyncio.Task[list[Accepted]]":
    """Puts one event whose commit has begun and waits at the gate."""
    commits.gate.clear()
    task = asyncio.create_task(inbox.put(events("held")))
    assert await asyncio.to_thread(commits.begun.wait, SOON)
    return task


async def begin(inbox: Inbox, *names: str) -> "asyncio.Task[list[Accepted]]":
    """A put that stands in the inbox by the time this returns."""
    task = asyncio.create_task(inbox.put(events(*names)))
    await asyncio.sleep(0)  # one turn of the loop: `put` has no await before it waits for its answer
    return task


class TestPut:
    def test_answers_its_own_events_in_order(self) -> None:
        commits = Commits()

        async def scenario(inbox: Inbox) -> list[Accepted]:
            return await inbox.put(events("a", "b"))

        with running(commits) as inbox:
            answers = asyncio.run(scenario(inbox))
        assert [(answer.event_id, answer.incident_id) for answer in answers] == [
            ("a", "inc_a"),
            ("b", "inc_b"),
        ]

    def test_what_waits_during_a_commit_goes_into_the_next_in_order(self) -> None:
        commits = Commits()

        async def scenario(inbox: Inbox) -> list[list[Accepted]]:
            tasks = [await held(inbox, commits)]
            tasks += [await begin(inbox, f"{n}a", f"{n}b") for n in range(3)]
            commits.gate.set()
            return await asyncio.wait_for(asyncio.gather(*tasks), SOON)

        with running(commits) as inbox:
            answers = asyncio.run(scenario(inbox))
        assert commits.groups == [["held"], ["0a", "0b", "1a", "1b", "2a", "2b"]]
        assert [[answer.event_id for answer in group] for group in answers[1:]] == [
            ["0a", "0b"],
            ["1a", "1b"],
            ["2a", "2b"],
        ]

    def test_a_group_has_a_limit_but_a_request_is_never_split(self) -> None:
        commits = Commits()

        async def scenario(inbox: Inbox) -> None:
            tasks = [await held(inbox, commits)]
            tasks += [await begin(inbox, *names) for names in ("ab", "c", "d", "efgh")]
            commits.gate.set()
            await asyncio.wait_for(asyncio.gather(*tasks), SOON)

        with running(commits, group=3) as inbox:
            asyncio.run(scenario(inbox))
        assert commits.groups == [["held"], ["a", "b", "c"], ["d"], ["e", "f", "g", "h"]]

    def test_many_threads_and_loops_get_their_own_answers(self) -> None:
        commits = Commits()
        wrong: list[str] = []

        def client(number: int, inbox: Inbox) -> None:
            async def scenario() -> None:
                for turn in range(20):
                    names = [f"{number}-{turn}-{n}" for n in range(3)]
                    answers = await inbox.put(events(*names))
                    if [answer.event_id for answer in answers] != names:
                        wrong.append(names[0])

            asyncio.run(scenario())

        with running(commits) as inbox:
            threads = [threading.Thread(target=client, args=(number, inbox)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(SOON)
        assert wrong == []
        assert sum(len(group) for group in commits.groups) == 8 * 20 * 3

    def test_a_client_that_went_away_does_not_stop_the_others(self) -> None:
        commits = Commits()

        async def scenario(inbox: Inbox) -> list[Accepted]:
            first = await held(inbox, commits)
            gone, stays = await begin(inbox, "gone"), await begin(inbox, "stays")
            gone.cancel()
            commits.gate.set()
            await first
            return await asyncio.wait_for(stays, SOON)

        with running(commits) as inbox:
            answers = asyncio.run(scenario(inbox))
        assert [answer.event_id for answer in answers] == ["stays"]
        assert commits.groups == [["held"], ["gone", "stays"]]

    def test_a_loop_that_was_closed_does_not_end_the_thread(self) -> None:
        commits = Commits()

        async def leave(inbox: Inbox) -> None:
            (await held(inbox, commits)).cancel()

        async def scenario(inbox: Inbox) -> list[Accepted]:
            return await asyncio.wait_for(inbox.put(events("later")), SOON)

        with running(commits) as inbox:
            asyncio.run(leave(inbox))
            commits.gate.set()
            answers = asyncio.run(scenario(inbox))
        assert [answer.event_id for answer in answers] == ["later"]


class TestFull:
    def test_says_busy_and_takes_nothing(self) -> None:
        commits = Commits()

        async def scenario(inbox: Inbox) -> None:
            tasks = [await held(inbox, commits), await begin(inbox, "a", "b")]
            with pytest.raises(Busy) as caught:
                await inbox.put(events("c", "d"))
            assert caught.value.retry_after > 0
            tasks.append(await begin(inbox, "e"))
            commits.gate.set()
            await asyncio.wait_for(asyncio.gather(*tasks), SOON)

        with running(commits, limit=3) as inbox:
            asyncio.run(scenario(inbox))
        assert commits.groups == [["held"], ["a", "b", "e"]]

    def test_one_request_that_is_larger_than_the_limit_passes_an_empty_inbox(self) -> None:
        commits = Commits()

        async def scenario(inbox: Inbox) -> int:
            return len(await inbox.put(events("a", "b", "c")))

        with running(commits, limit=2) as inbox:
            assert asyncio.run(scenario(inbox)) == 3


class TestFailure:
    def test_of_one_request_is_not_the_others(self) -> None:
        commits = Commits(fails_on="b")

        async def scenario(inbox: Inbox) -> list[list[Accepted] | BaseException]:
            tasks = [await held(inbox, commits)]
            tasks += [await begin(inbox, name) for name in ("a", "b", "c")]
            commits.gate.set()
            return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SOON)

        with running(commits) as inbox:
            first, *others = asyncio.run(scenario(inbox))
        assert isinstance(first, list)
        assert [type(outcome) for outcome in others] == [list, Unavailable, list]
        # Together first; each alone only because that failed.
        assert commits.groups[1:] == [["a", "b", "c"], ["a"], ["b"], ["c"]]

    def test_of_one_commit_is_over_with_the_next(self) -> None:
        commits = Commits(fails_on="bad")

        async def scenario(inbox: Inbox) -> list[Accepted]:
            with pytest.raises(Unavailable) as caught:
                await inbox.put(events("bad"))
            assert caught.value.retry_after > 0
            return await inbox.put(events("good"))

        with running(commits) as inbox:
            answers = asyncio.run(scenario(inbox))
        assert [answer.event_id for answer in answers] == ["good"]


class TestClose:
    def test_commits_what_waits(self) -> None:
        commits = Commits()

        async def scenario(inbox: Inbox) -> list[list[Accepted]]:
            tasks = [await held(inbox, commits), await begin(inbox, "a"), await begin(inbox, "b")]
            closing = asyncio.create_task(asyncio.to_thread(inbox.close))
            commits.gate.set()
            await asyncio.wait_for(closing, SOON)
            return await asyncio.gather(*tasks)

        answers = asyncio.run(scenario(Inbox(commits)))
        assert [answer.event_id for group in answers for answer in group] == ["held", "a", "b"]

    def test_takes_nothing_afterwards(self) -> None:
        commits = Commits()
        inbox = Inbox(commits)
        inbox.close()
        with pytest.raises(Unavailable, match="stopping"):
            asyncio.run(inbox.put(events("late")))
        assert commits.groups == []

    def test_twice_is_once(self) -> None:
        inbox = Inbox(Commits())
        inbox.close()
        inbox.close()

    def test_leaves_no_thread_behind(self) -> None:
        before = set(threading.enumerate())
        inbox = Inbox(Commits())
        assert [thread.name for thread in set(threading.enumerate()) - before] == ["inbox"]
        inbox.close()
        assert set(threading.enumerate()) <= before
