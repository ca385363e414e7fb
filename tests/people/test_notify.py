"""Messages to a real HTTP server on this machine."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog

from app.people.notify import Message, Notify
from app.people.settings import PeopleSettings
from tests.doubles import until

MESSAGE = Message(kind="waiting", incident_id="inc_1", title="nightly-load", text="may it be run again? ü")


class Channel:
    """Somebody's webhook: keeps what it gets and answers as told, 200 once there is nothing more to say."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.tried = 0
        self.answers: list[int] = []
        self.open = threading.Event()
        self.open.set()
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                channel.tried += 1
                channel.open.wait(20)
                status = channel.answers.pop(0) if channel.answers else 200
                if status == 200:
                    assert self.headers["Content-Type"] == "application/json"
                    channel.got.append(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read what arrived."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/T0P-S3CRET"


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.open.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as found:
        yield found


def notify(*webhooks: str, url: str = "", timeout: float = 5, drain: float = 30) -> Notify:
    return Notify(PeopleSettings(webhooks=webhooks, url=url, timeout=timeout, drain=drain))


def tell(notifier: Notify, message: Message = MESSAGE) -> None:
    """Tells, and waits until nothing is under way."""
    notifier.notify(message)
    notifier.close()


class TestNotify:
    def test_every_channel_gets_the_message_as_json(self, channel: Channel) -> None:
        notifier = notify(channel.url, channel.url)
        notifier.notify(MESSAGE)
        until(lambda: len(channel.got) == 2)
        notifier.close()
        assert channel.got[0] == channel.got[1] == MESSAGE.model_dump()

    def test_it_says_where_to_look(self, channel: Channel) -> None:
        notifier = notify(channel.url, url="https://mend.example/")
        tell(notifier)
        assert channel.got[0]["url"] == "https://mend.example/incidents/inc_1"

    def test_an_address_of_its_own_is_kept(self, channel: Channel) -> None:
        tell(
            notify(channel.url, url="https://mend.example"), MESSAGE.model_copy(update={"url": "https://x/"})
        )
        assert channel.got[0]["url"] == "https://x/"

    def test_without_a_channel_it_is_in_the_log(self, logs: list[Any]) -> None:
        tell(notify())
        assert [(line["event"], line["incident_id"]) for line in logs] == [("people.told", "inc_1")]


class TestTrouble:
    @pytest.mark.parametrize("answers", [[500], [503, 500]])
    def test_it_tries_again(self, channel: Channel, answers: list[int]) -> None:
        channel.answers = list(answers)
        tell(notify(channel.url))
        assert len(channel.got) == 1
        assert channel.tried == len(answers) + 1

    def test_it_gives_up_quietly_and_says_so_in_the_log(self, channel: Channel, logs: list[Any]) -> None:
        channel.answers = [500] * 10
        tell(notify(channel.url, "http://127.0.0.1:1/hook/T0P-S3CRET"))
        assert channel.got == []
        assert channel.tried == 4
        said = {line["host"]: line for line in logs if line["event"] == "people.not_told"}
        assert said["127.0.0.1:1"]["says"] == "ConnectError"
        answered = said[channel.url.split("/")[2]]
        assert (answered["log_level"], answered["incident_id"]) == ("error", "inc_1")
        assert answered["says"] == "HTTPStatusError 500"
        # Who knows the address of a webhook can post to it.
        assert "S3CRET" not in str(logs)

    def test_a_wrong_address_is_no_crash_and_does_not_keep_it_from_the_others(
        self, channel: Channel, logs: list[Any]
    ) -> None:
        notifier = notify("http://[::1/x", channel.url)
        notifier.notify(MESSAGE)
        until(lambda: len(channel.got) == 1)
        notifier.close()
        assert [line["says"] for line in logs if line["event"] == "people.not_told"] == ["InvalidURL"]


class TestBlocking:
    def test_a_channel_that_hangs_holds_up_nothing(self, channel: Channel) -> None:
        channel.open.clear()
        notifier = notify(channel.url)
        began = time.monotonic()
        for _ in range(20):
            notifier.notify(MESSAGE)
        assert time.monotonic() - began < 1
        channel.open.set()
        until(lambda: len(channel.got) == 20)
        notifier.close()

    def test_one_that_never_answers_is_left_in_time(self, channel: Channel, logs: list[Any]) -> None:
        channel.open.clear()
        began = time.monotonic()
        tell(notify(channel.url, timeout=0.1))
        assert time.monotonic() - began < 15
        assert channel.tried == 4
        assert logs[-1]["event"] == "people.not_told"


class TestClosing:
    def test_what_is_queued_leaves_first(self, channel: Channel) -> None:
        notifier = notify(channel.url)
        for _ in range(20):
            notifier.notify(MESSAGE)
        notifier.close()
        assert len(channel.got) == 20

    def test_for_a_bounded_time(self, channel: Channel, logs: list[Any]) -> None:
        """Two are under way and end with their own time-out; nothing is tried again, the others are dropped."""
        channel.open.clear()
        notifier = notify(channel.url, timeout=0.3, drain=0.1)
        for _ in range(20):
            notifier.notify(MESSAGE)
        began = time.monotonic()
        notifier.close()
        assert time.monotonic() - began < 5
        assert channel.tried == 2
        assert channel.got == []
