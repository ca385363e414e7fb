"""Notify: tells people, through every channel that is set up."""

import threading
from concurrent.futures import Future, wait

import httpx
from tenacity import (
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from app.foundation.lanes import Lane
from app.foundation.logging import log
from app.foundation.record import Record
from app.people.settings import PeopleSettings


class Message(Record):
    """`kind` is escalated, waiting, verified, undone or stopped; `text` is what a person reads."""

    kind: str
    incident_id: str
    title: str
    text: str
    url: str = ""


class Notify:
    """Sends messages on a lane of its own, so that a slow channel holds up nothing."""

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._lane = Lane("notify", 2)
        self._leaving: set[Future[None]] = set()
        self._closed = threading.Event()

    def notify(self, message: Message) -> None:
        """Queues the message for every channel; returns at once."""
        if self._settings.url and not message.url:
            message = message.model_copy(
                update={"url": f"{self._settings.url.rstrip('/')}/incidents/{message.incident_id}"}
            )
        log(__name__).info(
            "people.told", kind=message.kind, incident_id=message.incident_id, says=message.text[:300]
        )
        for address in self._settings.webhooks:
            leaving = self._lane.submit(self._post, address, message)
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _post(self, address: str, message: Message) -> None:
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(4) | stop_when_event_set(self._closed),
                sleep=sleep_using_event(self._closed),
                wait=wait_exponential(multiplier=0.5, max=10),
                retry=retry_if_exception_type(httpx.HTTPError),
                reraise=True,
            ):
                with attempt:
                    answer = httpx.post(
                        address,
                        content=message.model_dump_json(),
                        headers={"content-type": "application/json"},
                        timeout=self._settings.timeout,
                    )
                    answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Never the address itself: who knows a webhook's path can post to it.
            status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
            log(__name__).error(
                "people.not_told",
                incident_id=message.incident_id,
                host="".join(address.split("/")[2:3]).rpartition("@")[2],
                says=f"{type(error).__name__}{status}",
            )

    def close(self) -> None:
        """Lets what is queued leave, within the time that the settings give; then nothing is tried again."""
        wait(self._leaving.copy(), timeout=self._settings.drain)
        self._closed.set()
        self._lane.close()
