"""Notify: what people are to be told is stored, and leaves for its channels beside everything else.

A message that is stored survives a crash, a restart and a channel that is down for a day. Each channel has a
lane of its own, so that a slow one holds up no other and none holds up a repair.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlmodel import Session
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from app.db.engine import Database
from app.foundation import metrics
from app.foundation.clock import Clock
from app.foundation.lanes import Lane
from app.foundation.logging import log
from app.people import store
from app.people.channel import Channel, NotDelivered
from app.people.channels import Connection, open_channel
from app.people.channels.webhook import Webhook
from app.people.directory import DirectoryFile
from app.people.message import Card, Message
from app.people.settings import PeopleSettings

_LOOK_SECONDS = 1.0
_GIVE_UP_AFTER = timedelta(hours=24)
# Of one try; after that the message waits for its next one, up to five minutes.
_ATTEMPTS = 3
_LONGEST_SECONDS = 300
# A channel that fails is left alone for so long at most: one message that it cannot take delays no others for long.
_LONGEST_HOLD_SECONDS = 10
# Where messages wait that came while `people.yaml` had never been readable.
_NOBODY = ""


class Notify:
    """Stores messages, on a route by owner, and delivers them. Only the process that has `mine` delivers."""

    def __init__(
        self,
        settings: PeopleSettings,
        directory: DirectoryFile,
        database: Database,
        clock: Clock,
        card: Callable[[str], Card | None] = lambda incident_id: None,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        """`card` reads how an incident stands, None when it is gone; `mine` says whether to deliver here, now."""
        self._settings = settings
        self._directory = directory
        self._database = database
        self._clock = clock
        self._card = card
        self._mine = mine
        self._lane = Lane("people", settings.lanes)
        self._busy: set[str] = set()
        self._open: dict[str, tuple[object, Channel]] = {}
        # Channels that are left alone until then, and how often in a row they have failed.
        self._held: dict[str, tuple[datetime, int]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)

    def start(self) -> None:
        """Begins to deliver, with what an earlier run left."""
        self._thread.start()

    # --- telling --------------------------------------------------------------------------

    def notify(
        self, message: Message, session: Session | None = None, *, later: timedelta | None = None
    ) -> None:
        """Stores the message for the channels of its route; telling it twice is once.

        With `session` it is told if, and only if, that is committed. `later`: how long a question has waited,
        so that those whom the route names for later are told as well.
        """
        if self._settings.url and not message.url:
            message = message.model_copy(
                update={"url": f"{self._settings.url.rstrip('/')}/incidents/{message.incident_id}"}
            )
        log(__name__).info(
            "people.told", kind=message.kind, incident_id=message.incident_id, says=message.text[:300]
        )
        channels = self.channels(message, later)
        if not channels:
            return
        if session is not None:
            store.queue(session, message, channels, self._clock.now())
        else:
            with self._database.writing() as own:
                store.queue(own, message, channels, self._clock.now())
        self._wake.set()

    def woken(self) -> None:
        """Something changed that channels show: looks at once."""
        self._wake.set()

    @property
    def mute(self) -> bool:
        """Whether nobody would be told of anything: no channel is set up."""
        nobody = not self._settings.webhooks and not self._directory.last().routes
        return nobody and not self._directory.is_lost

    def later(self, owners: Sequence[str]) -> tuple[timedelta, ...]:
        """How long after a question others are told of it, on the route of these owners."""
        route = self._directory.last().route(owners)
        return tuple(step.after for step in route.then) if route else ()

    def channels(self, message: Message, later: timedelta | None = None) -> tuple[str, ...]:
        """Who is told of it: those on its owners' route, the later ones once it has waited so long."""
        route = self._directory.last().route(message.owners)
        first = route.to if route else ()
        due = [step.to for step in route.then if later and step.after <= later] if route else []
        if self._directory.is_lost:
            first = (_NOBODY,)
        return tuple(dict.fromkeys((*first, *(name for to in due for name in to), *self._webhooks())))

    def _webhooks(self) -> tuple[str, ...]:
        return tuple(f"webhook {number}" for number, _ in enumerate(self._settings.webhooks, 1))

    # --- delivering -----------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()
            try:
                if self._mine():
                    self._look()
            except Exception as error:
                log(__name__).error("people.look_failed", exc_info=error)

    def _look(self) -> None:
        with self._database.reading() as session:
            waiting = store.under_way(session)
        now = self._clock.now()
        if _NOBODY in waiting:
            waiting.discard(_NOBODY)
            self._find_the_way()
        for name in sorted(waiting):
            with self._lock:
                if name in self._busy or self._stop.is_set() or self._is_held(name, now):
                    continue
                self._busy.add(name)
            self._lane.submit(self._serve, name)

    def _find_the_way(self) -> None:
        """Sends on what was told while nobody knew whom to tell."""
        if self._directory.is_lost:
            return
        with self._database.writing() as session:
            for delivery in store.due(session, _NOBODY, self._clock.now()):
                store.queue(session, delivery.message, self.channels(delivery.message), delivery.at)
                store.drop(session, delivery.id)

    def _is_held(self, name: str, now: datetime) -> bool:
        return name in self._held and now < self._held[name][0]

    def _hold(self, name: str, after: float) -> None:
        """Leaves the whole channel alone: for as long as it asks for, else a little longer each time."""
        failures = self._held[name][1] + 1 if name in self._held else 1
        seconds = after or min(2.0 ** min(failures, 10) / 2, _LONGEST_HOLD_SECONDS)
        self._held[name] = self._clock.now() + timedelta(seconds=seconds), failures

    def _serve(self, name: str) -> None:
        """Delivers and refreshes all that is due in one channel; the first failure that may pass ends it."""
        try:
            channel = self._channel(name)
            while not self._stop.is_set() and self._deliver(name, channel):
                pass
            if channel is not None and not self._stop.is_set():
                self._refresh(name, channel)
        except Exception as error:
            self._hold(name, 0)
            log(__name__).error("people.channel_failed", channel=name, exc_info=error)
        finally:
            with self._lock:
                self._busy.discard(name)

    def _deliver(self, name: str, channel: Channel | None) -> bool:
        """Whether anything was delivered, so that more may be due."""
        with self._database.reading() as session:
            due = store.due(session, name, self._clock.now())
        for delivery in due:
            if self._stop.is_set():
                return False
            message = delivery.message
            card = self._card_of(message.incident_id)
            with self._database.reading() as session:
                known = store.reference(session, message.incident_id, name)
            if not self._hears(name, message, known) or _is_over(message, card):
                with self._database.writing() as session:
                    store.drop(session, delivery.id)
                continue
            refused: NotDelivered | None = None
            reference = known
            try:
                reference = self._try(name, channel, message, card, known)
            except NotDelivered as error:
                refused = error
            now = self._clock.now()
            next_at = None
            if refused is not None and refused.again and now - delivery.at < _GIVE_UP_AFTER:
                next_at = now + timedelta(
                    seconds=max(refused.after, min(2 ** min(delivery.attempts + 1, 10), _LONGEST_SECONDS))
                )
            if refused is not None and next_at is not None:
                self._hold(name, refused.after)
            with self._database.writing() as session:
                store.tried(
                    session, delivery.id, says=refused.says if refused else "", next_at=next_at, at=now
                )
                if reference != known:
                    store.keep_reference(session, message.incident_id, name, reference)
            metrics.MESSAGES.labels(
                name, "delivered" if refused is None else "late" if next_at else "lost"
            ).inc()
            if refused is None:
                self._held.pop(name, None)
                continue
            log(__name__).error(
                "people.not_told",
                channel=name,
                incident_id=message.incident_id,
                says=refused.says,
                again=next_at is not None,
            )
            if next_at is not None:
                return False
        return bool(due)

    def _card_of(self, incident_id: str) -> Card | None:
        try:
            return self._card(incident_id)
        except Exception as error:  # one that cannot be read must not silence a channel
            log(__name__).error("people.no_card", incident_id=incident_id, exc_info=error)
            return None

    def _hears(self, name: str, message: Message, reference: str) -> bool:
        """Whether it is told there: its kind was asked for, or it is news of what stands there already."""
        entry = self._directory.last().channels.get(name)
        if entry is None or message.kind in entry.kinds:
            return True
        return bool(reference) and message.kind != "reminder"

    def _try(
        self, name: str, channel: Channel | None, message: Message, card: Card | None, reference: str
    ) -> str:
        if channel is None:
            raise NotDelivered(f"there is no channel {name!r} any more", again=True)
        tries = Retrying(
            stop=stop_after_attempt(_ATTEMPTS) | stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            wait=wait_exponential(multiplier=0.25, max=2),
            retry=retry_if_exception(lambda error: isinstance(error, NotDelivered) and _soon(error)),
            reraise=True,
        )
        try:
            return tries(channel.deliver, message, card, reference)
        except NotDelivered:
            raise
        except Exception as error:
            log(__name__).error("people.channel_broke", channel=name, exc_info=error)
            raise NotDelivered(f"it broke: {type(error).__name__}", again=True) from None

    def _refresh(self, name: str, channel: Channel) -> None:
        if self._is_held(name, self._clock.now()):
            return
        with self._database.reading() as session:
            stale = store.stale(session, name)
        for thread in stale:
            if self._stop.is_set():
                return
            card = self._card_of(thread.incident_id)
            try:
                if card is not None:
                    channel.refresh(card, thread.reference)
            except NotDelivered as refused:
                log(__name__).error(
                    "people.not_refreshed", channel=name, incident_id=thread.incident_id, says=refused.says
                )
                if refused.again:
                    self._hold(name, refused.after)
                    return
            with self._database.writing() as session:
                store.refreshed(session, thread)

    def _channel(self, name: str) -> Channel | None:
        """The channel of this name as it is set up now; None when there is none any more."""
        entry: str | Connection | None = self._directory.last().channels.get(name)
        if name in self._webhooks():
            entry = self._settings.webhooks[int(name.rpartition(" ")[2]) - 1]
        known = self._open.get(name)
        if known is not None and known[0] == entry:
            return known[1]
        if known is not None:
            known[1].close()
            del self._open[name]
        if entry is None:
            return None
        channel = self._opened(entry)
        self._open[name] = (entry, channel)
        return channel

    def _opened(self, entry: str | Connection) -> Channel:
        if isinstance(entry, str):
            return Webhook(lambda: entry, self._settings.timeout)
        return open_channel(entry, self._settings)

    def close(self) -> None:
        """Ends what is under way; what is left leaves after the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._lane.close()
        for _, channel in self._open.values():
            with suppress(Exception):
                channel.close()


def _soon(refused: NotDelivered) -> bool:
    """Whether trying at once may help: the far side did not ask for patience."""
    return refused.again and not refused.after


def _is_over(message: Message, card: Card | None) -> bool:
    """Whether it reminds of a question that has its answer by now: a channel was away, or slow."""
    if message.kind != "reminder" or card is None or not message.about.startswith("apr_"):
        return False
    return card.question is None or not message.about.startswith(card.question.approval_id)
