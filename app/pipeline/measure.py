"""Measure: what stands in the database and the site's files, as gauges, looked at when somebody asks for it."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import REGISTRY, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database
from app.decision import store as decisions
from app.foundation import metrics
from app.foundation.clock import Clock
from app.foundation.errors import MendlineError
from app.incidents import store as incidents
from app.incidents.incident import OPEN
from app.people import store as people
from app.remediation import approve


class Measure(Collector):
    """All that `/metrics` shows, with the gauges as they are now.

    `parts` says of each part whether it is "ok"; `files` reads each of the site's own files and raises where
    that is not possible. A database that does not answer leaves its gauges as they were.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        parts: Callable[[], Mapping[str, str]],
        files: Mapping[str, Callable[[], object]],
        inbox: Callable[[], int],
        cases: Callable[[], int],
    ) -> None:
        self._database = database
        self._clock = clock
        self._parts = parts
        self._files = files
        self._inbox = inbox
        self._cases = cases

    def collect(self) -> Iterable[Metric]:
        """What Prometheus asks for."""
        metrics.INBOX_WAITING.set(self._inbox())
        metrics.CASES.set(self._cases())
        parts = {name: state == "ok" for name, state in self._parts().items()}
        for name, ok in (parts | {name: _reads(read) for name, read in self._files.items()}).items():
            metrics.PARTS.labels(name).set(ok)
        try:
            self._look()
        except DBAPIError:
            metrics.PARTS.labels("database").set(0)
        return REGISTRY.collect()

    def _look(self) -> None:
        with self._database.reading() as session:
            found = incidents.counts(session, OPEN)
            oldest = approve.waiting(session, limit=1)
            metrics.APPROVALS_WAITING.set(approve.count_waiting(session))
            metrics.MESSAGES_WAITING.set(people.count_under_way(session))
            metrics.PAUSED.set(bool(decisions.current(session)))
        for state in OPEN:
            metrics.INCIDENTS_OPEN.labels(state.value).set(found.get(state, 0))
        waited = (self._clock.now() - oldest[0].asked_at).total_seconds() if oldest else 0
        metrics.APPROVAL_OLDEST.set(max(0, waited))


def _reads(read: Callable[[], object]) -> bool:
    try:
        read()
    except (MendlineError, OSError):
        return False
    return True
