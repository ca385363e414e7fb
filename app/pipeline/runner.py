"""The runner: workflows on DBOS. The one file that knows it."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID, WorkflowHandle

from app.db.engine import Database
from app.decision.decision import Effect
from app.foundation.lanes import Lane
from app.foundation.logging import log
from app.incidents import store as incidents
from app.pipeline.pipeline import Next, Pipeline, answered, heal, repair, undone
from app.pipeline.settings import PipelineSettings

R = TypeVar("R")

# Raise it when the steps of a workflow change, and keep the old bodies for those under way:
# DBOS resumes a workflow only under the version that began it.
WORKFLOW_VERSION = "1"
_REPAIRS = "repairs"
# Seconds that each diagnosis waits while events pour in: a flood that lasts must not end the diagnosing.
_HELD_BACK = 2.0
_BACKUPS_EVERY = 3600.0  # seconds


class DbosSteps:
    """`Durable` on DBOS: recorded steps on a lane, durable sleeps."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def step(self, name: str, call: Callable[..., R], *args: Any) -> R:
        async def run() -> R:
            return await self._lane.run(call, *args)

        return await DBOS.run_step_async({"name": name}, run)

    async def sleep(self, seconds: float) -> None:
        await DBOS.sleep_async(seconds)


class Runner:
    """Starts workflows, sweeps for what a crash or the command line left.

    One per process, because DBOS is. `pressure` says whether ingestion is so busy that
    diagnosing should hold back.
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
        self._lane = Lane("steps", max(4, settings.workers * 2))
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        DBOS(
            config=DBOSConfig(
                name="mendline",
                system_database_url=system_database_url,
                application_version=WORKFLOW_VERSION,
                executor_id=settings.executor,
                log_level="WARNING",
                run_migrations=True,
            )
        )
        steps = DbosSteps(self._lane)

        @DBOS.workflow(name="heal", max_recovery_attempts=20)
        async def heal_workflow(incident_id: str, episode: int) -> None:
            await self._follow(await heal(steps, pipeline, incident_id, episode))

        @DBOS.workflow(name="answered", max_recovery_attempts=20)
        async def answered_workflow(approval_id: str) -> None:
            await self._follow(await answered(steps, pipeline, approval_id))

        @DBOS.workflow(name="repair", max_recovery_attempts=100)
        async def repair_workflow(remediation_id: str) -> str:
            return (await repair(steps, pipeline, remediation_id)).ended.value

        @DBOS.workflow(name="undo", max_recovery_attempts=100)
        async def undo_workflow(remediation_id: str) -> None:
            await undone(steps, pipeline, remediation_id)

        self._undo = undo_workflow
        self._heal, self._answered, self._repair = heal_workflow, answered_workflow, repair_workflow

    def start(self) -> None:
        """Launches the engine (which resumes what was under way), the starter and the sweep."""
        DBOS.launch()
        DBOS.register_queue(
            _REPAIRS,
            partition_concurrency=1,
            polling_interval_sec=self._settings.poll_seconds,
            on_conflict="always_update",
        )
        for target in (self._start_incidents, self._sweep):
            thread = threading.Thread(target=target, name=target.__name__.strip("_"), daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stops taking up work; what is under way is resumed at the next start."""
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout=10)
        DBOS.destroy()
        self._lane.close()

    def opened(self, incident_ids: Sequence[str]) -> None:
        """Incidents were opened or reopened: wakes the starter, which finds them in the database."""
        self._wake.set()

    def answer(self, approval_id: str) -> None:
        """Starts what follows from an answered approval; twice is once."""
        with SetWorkflowID(f"answered:{approval_id}"):
            DBOS.start_workflow(self._answered, approval_id)

    def undo(self, remediation_id: str) -> None:
        """Queues the undoing that a person asked for behind the repairs of its target; twice is once."""
        target = self._pipeline.acts.load(remediation_id).target
        with SetWorkflowID(f"undo:{remediation_id}"), SetEnqueueOptions(queue_partition_key=target):
            DBOS.enqueue_workflow(_REPAIRS, self._undo, remediation_id)

    async def _follow(self, next_: Next) -> None:
        """Queues the repair that a decision began; one at a time per target, others wait their turn."""
        if next_.effect is Effect.ACT:
            with SetWorkflowID(next_.remediation_id), SetEnqueueOptions(queue_partition_key=next_.target):
                await DBOS.enqueue_workflow_async(_REPAIRS, self._repair, next_.remediation_id)

    def _start_incidents(self) -> None:
        """Takes up incidents that no workflow has begun with, a few at a time."""
        with ThreadPoolExecutor(self._settings.workers, thread_name_prefix="heal") as pool:
            while not self._stop.is_set():
                self._wake.wait(timeout=self._settings.sweep_seconds)
                self._wake.clear()
                while not self._stop.is_set() and (todo := self._unhandled()):
                    list(pool.map(self._heal_one, todo))

    def _unhandled(self) -> list[tuple[str, int]]:
        """The newest, which must not wait behind what a flood left, and the oldest, which must not wait for ever."""
        with self._database.reading() as session:
            newest = incidents.unhandled(session, self._settings.workers, newest=True)
            oldest = incidents.unhandled(session, self._settings.workers)
        return list(dict.fromkeys([*newest, *oldest]))

    def _heal_one(self, which: tuple[str, int]) -> None:
        incident_id, episode = which
        # Storing events comes first: under a flood the diagnosing slows down, not the 202.
        held = time.monotonic() + _HELD_BACK
        while self._pressure() and time.monotonic() < held and not self._stop.wait(0.05):
            pass
        if self._stop.is_set():
            return
        try:
            with SetWorkflowID(f"heal:{incident_id}:{episode}"):
                handle: WorkflowHandle[Any] = DBOS.start_workflow(self._heal, incident_id, episode)
            handle.get_result()
        except Exception as error:
            log(__name__).error("incident.not_healed", incident_id=incident_id, exc_info=error)
            self._pipeline.undiagnosed(incident_id, f"{type(error).__name__}: {error}"[:300])

    def _sweep(self) -> None:
        swept = -_BACKUPS_EVERY
        while not self._stop.wait(self._settings.sweep_seconds):
            try:
                for approval_id in self._pipeline.unfollowed():
                    self.answer(approval_id)
                for remediation_id in self._pipeline.undos():
                    self.undo(remediation_id)
                if time.monotonic() - swept >= _BACKUPS_EVERY:
                    swept = time.monotonic()
                    self._pipeline.sweep_backups()
            except Exception as error:
                log(__name__).error("sweep.failed", exc_info=error)
