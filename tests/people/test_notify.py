"""Messages to a real HTTP server on this machine."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.db.engine import Database, sqlite_url
from app.foundation.clock import SystemClock
from app.people.directory import DirectoryFile
from app.people.message import Message
from app.people.notify import Notify
from app.people.settings import PeopleSettings
from app.tables import metadata
from tests.doubles import until

MESSAGE = Message(
    kind="waiting", incident_id="inc_1", title="nightly-load", text="may it be run again? ü", about="apr_1"
)


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


Told = Callable[..., Notify]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """Makes a notifier over one database, as often as the service is started; the clock is the system's."""
    database = Database(sqlite_url(tmp_path / "mendline.db"))
    metadata.create_all(database.engine)
    made: list[Notify] = []

    def start(*webhooks: str, file: str = "", url: str = "", timeout: float = 5) -> Notify:
        if file:
            (tmp_path / "people.yaml").write_text(file)
        settings = PeopleSettings(webhooks=webhooks, url=url, timeout=timeout)
        directory = DirectoryFile(tmp_path / "people.yaml")
        notifier = Notify(settings, directory, database, SystemClock())
        notifier.start()
        made.append(notifier)
        return notifier

    yield start
    for notifier in made:
        notifier.close()
    database.close()


class TestNotify:
    def test_every_channel_gets_the_message_as_json(self, channel: Channel, told: Told) -> None:
        told(channel.url, channel.url).notify(MESSAGE)
        until(lambda: len(channel.got) == 2)
        assert channel.got[0] == channel.got[1] == MESSAGE.model_dump(mode="json")

    def test_it_says_where_to_look(self, channel: Channel, told: Told) -> None:
        told(channel.url, url="https://mend.example/").notify(MESSAGE)
        until(lambda: len(channel.got) == 1)
        assert channel.got[0]["url"] == "https://mend.example/incidents/inc_1"

    def test_an_address_of_its_own_is_kept(self, channel: Channel, told: Told) -> None:
        notifier = told(channel.url, url="https://mend.example")
        notifier.notify(MESSAGE.model_copy(update={"url": "https://x/"}))
        until(lambda: len(channel.got) == 1)
        assert channel.got[0]["url"] == "https://x/"

    def test_without_a_channel_it_is_in_the_log(self, logs: list[Any], told: Told) -> None:
        told().notify(MESSAGE)
        assert [(line["event"], line["incident_id"]) for line in logs] == [("people.told", "inc_1")]

    def test_told_twice_is_once(self, channel: Channel, told: Told) -> None:
        notifier = told(channel.url)
        notifier.notify(MESSAGE)
        notifier.notify(MESSAGE)
        notifier.notify(MESSAGE.model_copy(update={"about": "apr_2"}))
        until(lambda: len(channel.got) == 2)
        assert [message["about"] for message in channel.got] == ["apr_1", "apr_2"]


class TestRoute:
    FILE = """
channels:
  data: {{type: webhook, url: {{file: {url}}}}}
  chief: {{type: webhook, url: {{file: {url}}}}}
routes:
  - owner: data
    to: [data]
    then: [{{after: 15m, to: [chief]}}]
"""

    @pytest.fixture
    def file(self, channel: Channel, tmp_path: Path) -> str:
        (tmp_path / "url").write_text(channel.url)
        return self.FILE.format(url=tmp_path / "url")

    def test_the_owners_channel_is_told_and_nobody_else(
        self, channel: Channel, told: Told, file: str
    ) -> None:
        notifier = told(file=file)
        notifier.notify(MESSAGE.model_copy(update={"owners": ("shop",)}))
        notifier.notify(MESSAGE.model_copy(update={"owners": ("Data",), "about": "apr_2"}))
        until(lambda: len(channel.got) == 1)
        assert channel.got[0]["about"] == "apr_2"

    def test_who_comes_later_is_told_once_it_has_waited_so_long(
        self, channel: Channel, told: Told, file: str
    ) -> None:
        notifier = told(file=file)
        mine = MESSAGE.model_copy(update={"owners": ("data",)})
        assert notifier.later(("data",)) == (timedelta(minutes=15),)
        notifier.notify(mine, later=timedelta(minutes=14))
        until(lambda: len(channel.got) == 1)
        notifier.notify(mine.model_copy(update={"about": "apr_2"}), later=timedelta(minutes=15))
        until(lambda: len(channel.got) == 3)


class TestTrouble:
    @pytest.mark.parametrize("answers", [[500], [503, 429]])
    def test_it_tries_again(self, channel: Channel, answers: list[int], told: Told) -> None:
        channel.answers = list(answers)
        told(channel.url).notify(MESSAGE)
        until(lambda: len(channel.got) == 1)
        assert channel.tried == len(answers) + 1

    def test_what_a_channel_refuses_for_good_is_given_up_and_said(
        self, channel: Channel, logs: list[Any], told: Told
    ) -> None:
        channel.answers = [404]
        notifier = told(channel.url)
        notifier.notify(MESSAGE)
        notifier.notify(MESSAGE.model_copy(update={"about": "apr_2"}))
        until(lambda: len(channel.got) == 1)
        (said,) = [line for line in logs if line["event"] == "people.not_told"]
        assert (said["channel"], said["says"], said["again"]) == ("webhook 1", "answered 404", False)
        # Who knows the address of a webhook can post to it.
        assert "S3CRET" not in str(logs)

    def test_a_wrong_address_does_not_keep_it_from_the_others(
        self, channel: Channel, logs: list[Any], told: Told
    ) -> None:
        told("http://[::1/x", channel.url).notify(MESSAGE)
        until(lambda: len(channel.got) == 1)
        until(lambda: [line["says"] for line in logs if line["event"] == "people.not_told"] != [])
        assert "its address is not one" in str(logs)

    def test_what_could_not_leave_is_there_after_a_restart(self, channel: Channel, told: Told) -> None:
        channel.answers = [500] * 3
        first = told(channel.url)
        for number in range(5):
            first.notify(MESSAGE.model_copy(update={"about": f"apr_{number}"}))
        until(lambda: channel.tried >= 3)
        first.close()
        told(channel.url)
        until(lambda: len(channel.got) == 5)
        assert [message["about"] for message in channel.got] == [f"apr_{number}" for number in range(5)]

    def test_a_channel_that_hangs_holds_up_nothing(self, channel: Channel, told: Told) -> None:
        channel.open.clear()
        notifier = told(channel.url)
        began = time.monotonic()
        for number in range(20):
            notifier.notify(MESSAGE.model_copy(update={"about": f"apr_{number}"}))
        assert time.monotonic() - began < 2
        channel.open.set()
        until(lambda: len(channel.got) == 20)

    def test_a_database_without_it_has_nothing_of_a_message_that_was_rolled_back(
        self, channel: Channel, told: Told, tmp_path: Path
    ) -> None:
        notifier = told(channel.url)
        database = Database(sqlite_url(tmp_path / "mendline.db"))
        with pytest.raises(ZeroDivisionError), database.writing() as session:
            notifier.notify(MESSAGE, session)
            1 / 0  # noqa: B018
        notifier.notify(MESSAGE.model_copy(update={"about": "apr_2"}))
        until(lambda: len(channel.got) == 1)
        database.close()
        assert channel.got[0]["about"] == "apr_2"
