"""The runner: workflows on DBOS. The one file that knows it."""

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import IO, Any, TypeVar

import tenacity
from dbos import DBOS, DBOSConfig, SetWorkflowID, StepOptions
from dbos._core import WorkflowHandleAsyncPolling
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from app.db.engine import Database
from app.db.names import Names, lock_file
from app.decision import store as decisions
from app.decision.decision import Effect
from app.foundation import traces
from app.foundation.errors import Invalid
from app.foundation.lanes import Lane
from app.foundation.logging import log
from app.foundation.traces import Episode
from app.incidents import store as incidents
from app.pipeline.pipeline import Next, Pipeline
from app.pipeline.settings import PipelineSettings
from app.pipeline.stretch import Body, Stretches
from app.pipeline.workflows import answered, heal, repair, undone
from app.remediation import approve
from app.remediation import store as repairs
from app.remediation.acts import Acted

R = TypeVar("R")

# Raise it when what is recorded of a workflow changes: DBOS resumes a workflow only under the version that began
# it. What an older version left is begun anew (`_adopt`), which the journal makes safe.
WORKFLOW_VERSION = "2"
_FORMER = ["1"]
# How often rights are looked for that are granted past their time; the first time at the start.
_TAKE_BACK_SECONDS = 60.0
# Seconds that diagnosing waits while events pour in: a flood that lasts must not end it.
_HELD_BACK = 2.0
# Seconds that a start waits until Postgres has noticed that the process which had its name is gone.
_NAME_WITHIN = 15.0
# The engine's connections. On SQLite more than two only wait for each other's locks, asleep; on Postgres
# several workers share what the server allows.
_CONNECTIONS = {True: 2, False: 10}
_UNDER_WAY = ("PENDING", "ENQUEUED")
_BACKUPS_EVERY = 3600.0  # seconds
_BEGUN_WITHIN = 60.0  # seconds; what is not begun, because the service stops, is found again
# A database that does not answer, a disk that is full: nothing can be told either, so the work waits for them. Any
# other error is a defect, which would only come again.
_WAITED_FOR = (OperationalError, InterfaceError, TimeoutError, OSError)
_AGAIN_AFTER = 2.0  # seconds
_STRETCH = StepOptions(
    name="stretch",
    retries_allowed=True,
    max_attempts=10**9,
    interval_seconds=_AGAIN_AFTER,
    backoff_rate=1,
    should_retry=lambda error: isinstance(error, _WAITED_FOR),
)


class Runner:
    """Starts workflows, sweeps for what a crash or the command line left.

    One per process, because DBOS is. On Postgres several processes share the work: of those that start one
    workflow, one runs it.
    `pressure` says whether ingestion is so busy that diagnosing should hold back.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        database: Database,
        system_database_url: str,
        settings: PipelineSettings,
        pressure: Callable[[], bool],
    ) -> None:
        self._pipeline = pipeline
        self._database = database
        self._settings = settings
        self._pressure = pressure
        self._diagnosing = Lane("heal", settings.workers)
        self._lane = Lane("steps", max(4, settings.workers * 2))
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._patiently = tenacity.retry(
            retry=tenacity.retry_if_exception_type(_WAITED_FOR),
            wait=tenacity.wait_fixed(_AGAIN_AFTER),
            sleep=tenacity.sleep_using_event(self._stop),
            stop=tenacity.stop_when_event_set(self._stop),
            reraise=True,
        )
        self._threads: list[threading.Thread] = []
        # What is diagnosed here; what is diagnosed otherwise, by another worker or resumed; what is repaired here;
        # and since when the names of others have been nobody's.
        self._healing: set[tuple[str, int]] = set()
        self._elsewhere: set[tuple[str, int]] = set()
        self._repairing: set[str] = set()
        self._nobodys: dict[str, float] = {}
        self._names = None if database.is_sqlite else Names(database.url)
        self._lock: IO[bytes] | None = None
        # The loop on which workflows run that were begun here. A workflow that is begun outside of any loop would
        # end with an error when the service is stopped, and never be resumed.
        self._loop: asyncio.Runner | None = None
        self._closing = asyncio.Event()
        DBOS(
            config=DBOSConfig(
                name="mendline",
                system_database_url=system_database_url,
                application_version=WORKFLOW_VERSION,
                executor_id=settings.executor,
                log_level="WARNING",
                run_migrations=True,
                sys_db_pool_size=_CONNECTIONS[database.is_sqlite],
            )
        )

        @DBOS.workflow(name="heal", max_recovery_attempts=100)
        async def heal_workflow(incident_id: str, episode: int) -> None:
            next_ = await self._healed(incident_id, episode)
            if next_.effect is Effect.ACT:
                await self._repair(next_.remediation_id)

        @DBOS.workflow(name="answered", max_recovery_attempts=100)
        async def answered_workflow(approval_id: str) -> None:
            whose = partial(self._asked_about, approval_id)
            try:
                next_ = await self._run(lambda steps: answered(steps, pipeline, approval_id), whose)
            except Exception as error:
                await self._lane.run(self._patiently(pipeline.not_followed), approval_id, _says(error))
                return
            if next_.effect is Effect.ACT:
                await self._repair(next_.remediation_id)

        @DBOS.workflow(name="repair", max_recovery_attempts=100)
        async def repair_workflow(remediation_id: str) -> None:
            await self._repair(remediation_id)

        @DBOS.workflow(name="undo", max_recovery_attempts=100)
        async def undo_workflow(remediation_id: str) -> None:
            whose = partial(self._repaired_by, remediation_id)
            try:
                await self._run(lambda steps: undone(steps, pipeline, remediation_id), whose)
            except Exception as error:
                failed = Acted(how="failed", says=_says(error))
                await self._lane.run(self._patiently(pipeline.undone), remediation_id, failed)

        self._heal, self._answered, self._undo = heal_workflow, answered_workflow, undo_workflow
        self._adopted = repair_workflow

    def start(self) -> None:
        """Takes its name, launches the engine (which resumes what was under way), the starter and the sweeps."""
        self.take_name()
        DBOS.launch()
        ready = threading.Event()
        self._threads.append(
            threading.Thread(target=self._host, args=(ready,), name="workflows", daemon=True)
        )
        self._threads[0].start()
        ready.wait()
        self._adopt()
        workers = () if self._names is None else (self._watch,)
        for target in (self._start_incidents, self._sweep, *workers):
            thread = threading.Thread(target=target, name=target.__name__.strip("_"), daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stops taking up work; what is under way is resumed at the next start."""
        self._stop.set()
        self._wake.set()
        if self._loop is not None:
            self._loop.get_loop().call_soon_threadsafe(self._closing.set)
        for thread in self._threads:
            thread.join(timeout=10)
        DBOS.destroy()
        self._diagnosing.close()
        self._lane.close()
        if self._names is not None:
            self._names.close()
        if self._lock is not None:
            self._lock.close()

    def opened(self, incident_ids: Sequence[str]) -> None:
        """Incidents were opened or reopened: wakes the starter, which finds them in the database."""
        self._wake.set()

    def answer(self, approval_id: str) -> None:
        """Starts what follows from an answered approval; twice is once."""
        self._begin(f"answered:{approval_id}", self._answered, approval_id)

    def undo(self, remediation_id: str) -> None:
        """Starts the undoing that a person asked for; twice is once."""
        self._begin(f"undo:{remediation_id}", self._undo, remediation_id)

    def _host(self, ready: threading.Event) -> None:
        """Runs workflows until the service is stopped; what is under way then is resumed at the next start."""
        with asyncio.Runner() as self._loop:
            self._loop.get_loop().call_soon(ready.set)
            self._loop.run(self._closing.wait())

    def _begin(self, id_: str, workflow: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> bool:
        """Whether it runs here now: one with this id may have been begun before, here or elsewhere."""
        assert self._loop is not None

        async def begin() -> bool:
            with SetWorkflowID(id_):
                handle = await DBOS.start_workflow_async(workflow, *args)
            return not isinstance(handle, WorkflowHandleAsyncPolling)

        return asyncio.run_coroutine_threadsafe(begin(), self._loop.get_loop()).result(_BEGUN_WITHIN)

    async def _run(self, body: Body[R], whose: Callable[[], Episode]) -> R:
        """A workflow's body to its end: recorded stretches on the lane, durable sleeps."""
        stretches = Stretches(body, partial(_traced, cache(whose)))

        async def on() -> Any:
            return await self._lane.run(stretches.on)

        while True:
            stretch = await DBOS.run_step_async(_STRETCH, on)
            stretches.keep(stretch)
            if stretch.sleep is None:
                result: R = stretch.result
                return result
            await DBOS.sleep_async(stretch.sleep)

    async def _healed(self, incident_id: str, episode: int) -> Next:
        """Diagnosed and decided. Nothing is recorded of that: after a crash it is found in our own tables."""
        whose = partial(_traced, lambda: Episode(incident_id, episode))
        stretches = Stretches(lambda steps: heal(steps, self._pipeline, incident_id, episode), whose)
        try:
            begun = await self._lane.run(self._patiently(self._pipeline.begun), incident_id, episode)
            if begun is None:
                begun = (await self._diagnosing.run(self._patiently(stretches.on))).result
            next_: Next = begun
            return next_
        except Exception as error:
            log(__name__).error("incident.not_healed", incident_id=incident_id, exc_info=error)
            await self._lane.run(self._patiently(self._pipeline.undiagnosed), incident_id, _says(error))
            return Next(effect=Effect.IGNORE)
        finally:
            self._healing.discard((incident_id, episode))
            self._wake.set()

    async def _repair(self, remediation_id: str) -> None:
        if remediation_id in self._repairing:
            return  # a former version left it under way twice: by itself, and in what began it
        self._repairing.add(remediation_id)
        whose = partial(self._repaired_by, remediation_id)
        try:
            await self._run(lambda steps: repair(steps, self._pipeline, remediation_id), whose)
        except Exception as error:
            log(__name__).error("repair.failed", remediation_id=remediation_id, exc_info=error)
            await self._lane.run(self._patiently(self._pipeline.broke), remediation_id, _says(error))
        finally:
            self._repairing.discard(remediation_id)

    def _asked_about(self, approval_id: str) -> Episode:
        with self._database.reading() as session:
            decision = decisions.get(session, approve.get(session, approval_id).decision_id)
        return Episode(decision.incident_id, decision.episode)

    def _repaired_by(self, remediation_id: str) -> Episode:
        with self._database.reading() as session:
            decision = decisions.get(session, repairs.get(session, remediation_id).decision_id)
        return Episode(decision.incident_id, decision.episode, under=remediation_id)

    def _start_incidents(self) -> None:
        """Takes up incidents that no workflow has begun with, a few at a time."""
        while not self._stop.is_set():
            self._wake.wait(timeout=self._settings.sweep_seconds)
            self._wake.clear()
            try:
                while todo := self._unhandled():
                    self._hold_back()
                    for which in todo:
                        self._heal_one(which)
            except Exception as error:
                log(__name__).error("starter.failed", exc_info=error)

    def _unhandled(self) -> list[tuple[str, int]]:
        """What there is room for: the newest, which must not wait behind what a flood left, and the oldest, which
        must not wait for ever."""
        # Before the query: one that ends meanwhile may be found by it still.
        busy = self._healing | self._elsewhere
        room = self._settings.workers - len(self._healing)
        if room <= 0 or self._stop.is_set():
            return []
        limit = room + len(busy)
        with self._database.reading() as session:
            newest = incidents.unhandled(session, limit, newest=True)
            oldest = incidents.unhandled(session, limit)
        found = dict.fromkeys(filter(None, chain.from_iterable(zip_longest(newest, oldest))))
        self._elsewhere &= found.keys()
        return [which for which in found if which not in busy][:room]

    def _hold_back(self) -> None:
        """Storing events comes first: under a flood the diagnosing slows down, not the 202."""
        held = time.monotonic() + _HELD_BACK
        while self._pressure() and time.monotonic() < held and not self._stop.wait(0.05):
            pass

    def _heal_one(self, which: tuple[str, int]) -> None:
        incident_id, episode = which
        self._healing.add(which)
        here = False
        try:
            here = self._begin(f"heal:{incident_id}:{episode}", self._heal, *which)
        finally:
            if not here:
                self._healing.discard(which)
        if not here:
            self._elsewhere.add(which)

    def _sweep(self) -> None:
        looked, swept = -math.inf, -_BACKUPS_EVERY
        while not self._stop.wait(self._settings.sweep_seconds):
            try:
                for approval_id in self._pipeline.unfollowed():
                    self.answer(approval_id)
                if time.monotonic() - looked >= _TAKE_BACK_SECONDS:
                    looked = time.monotonic()
                    self._pipeline.take_back()
                self._pipeline.remind()
                for remediation_id in self._pipeline.undos():
                    self.undo(remediation_id)
                if time.monotonic() - swept >= _BACKUPS_EVERY:
                    swept = time.monotonic()
                    self._pipeline.sweep_backups()
            except Exception as error:
                log(__name__).error("sweep.failed", exc_info=error)

    def _adopt(self) -> None:
        """Begins anew what a process of an older version left under way; no such process may run any more."""
        bodies = {"heal": self._heal, "answered": self._answered, "repair": self._adopted, "undo": self._undo}
        left = DBOS.list_workflows(status=list(_UNDER_WAY), app_version=_FORMER, load_output=False)
        for workflow in left:
            body: Any = bodies.get(workflow.name)
            if body is not None and workflow.input is not None:
                self._begin(f"{workflow.workflow_id}~{WORKFLOW_VERSION}", body, *workflow.input["args"])
                DBOS.cancel_workflow(workflow.workflow_id)
                log(__name__).info("workflow.adopted", workflow_id=workflow.workflow_id)

    # --- several workers ------------------------------------------------------------------

    def take_name(self) -> None:
        """Raises Invalid when another process goes by the same name: both would resume the same work."""
        ends = time.monotonic() + (0 if self._names is None else _NAME_WITHIN)
        while not self._has_name():
            if time.monotonic() > ends:
                raise Invalid(
                    f"another process works as {self._settings.executor!r} on the same database; "
                    "on Postgres give each a name of its own (MENDLINE_PIPELINE__EXECUTOR), "
                    "on SQLite there can be one"
                )
            time.sleep(0.1)

    def _has_name(self) -> bool:
        if self._names is not None:
            return self._names.take(self._settings.executor)
        if self._lock is None:
            self._lock = lock_file(Path(f"{self._database.engine.url.database}.lock"))
        return self._lock is not None

    def _watch(self) -> None:
        """Keeps the name, and takes over what was under way in workers that did not come back."""
        assert self._names is not None
        within = self._settings.take_over_seconds
        held = looked = time.monotonic()
        while not self._stop.wait(min(1.0, within / 5)):
            now = time.monotonic()
            if self._names.take(self._settings.executor):
                held = now
            elif now - held > within:
                # Others may have taken over by now. A second pair of hands on a target is worse than none.
                log(__name__).critical("worker.lost_its_name", executor=self._settings.executor)
                os._exit(70)
            if now - looked > within / 4:
                looked = now
                try:
                    self._take_over(now)
                except Exception as error:
                    log(__name__).error("take_over.failed", exc_info=error)

    def _take_over(self, now: float) -> None:
        assert self._names is not None
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        others = {workflow.executor_id for workflow in pending} - {self._settings.executor, None}
        self._nobodys = {name: since for name, since in self._nobodys.items() if name in others}
        for name in others:
            if name is None or not self._names.take(name):
                self._nobodys.pop(str(name), None)
                continue
            try:
                if now - self._nobodys.setdefault(name, now) > self._settings.take_over_seconds:
                    # Not `resume_workflow`: this one leaves alone what a living worker has taken meanwhile.
                    taken = DBOS._recover_pending_workflows([name])
                    log(__name__).warning("worker.taken_over", executor=name, workflows=len(taken))
            finally:
                self._names.give_back(name)


def _says(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _traced(whose: Callable[[], Episode], name: str, call: Callable[[], R]) -> R:
    with traces.step(name, whose):
        return call()
