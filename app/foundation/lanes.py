"""Lanes: named thread pools that keep one kind of heavy work from starving another."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Lane:
    """A few threads under one name; context variables (the incident's id in the logs) travel along."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def submit(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Runs `call` on the lane, now or when a thread is free."""
        context = contextvars.copy_context()
        return self._pool.submit(context.run, lambda: call(*args, **kwargs))

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, awaited from the event loop."""
        return await asyncio.wrap_future(self.submit(call, *args, **kwargs))

    def close(self) -> None:
        """Lets running work finish and drops what has not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
