"""What was answered 202 is there after a crash, once."""

import json
import sqlite3
import threading
from collections import Counter
from contextlib import closing

import httpx
import pytest

from tests.server import Api, Body, Mendline, until

pytestmark = pytest.mark.server

SENDERS = 6
ENOUGH = 600  # events acknowledged before the server is killed


class Sender(threading.Thread):
    """Sends single events, batches and NDJSON by turns until the server is gone."""

    def __init__(self, number: int, url: str, key: str) -> None:
        super().__init__()
        self.number = number
        self.api = Api(url, key)
        self.sent: dict[str, Body] = {}  # by delivery key
        self.acknowledged: dict[str, str] = {}  # delivery key to event id

    def run(self) -> None:
        turn = 0
        try:
            while True:
                turn += 1
                reports = [self._report(turn, place) for place in range((1, 7, 20)[turn % 3])]
                self._take(reports, self._send(reports, turn % 3))
        except httpx.HTTPError:
            return
        finally:
            self.api.close()

    def _report(self, turn: int, place: int) -> Body:
        key = f"{self.number}-{turn}-{place}"
        words = ("odd", "strange", "curious", "weird", "peculiar")
        report = {"message": f"something {words[place % 5]}", "source": "load", "delivery_key": key}
        self.sent[key] = report
        return report

    def _send(self, reports: list[Body], how: int) -> httpx.Response:
        if how == 0:
            return self.api.send("POST", "/events", reports[0])
        if how == 1:
            return self.api.send("POST", "/events", reports)
        lines = "\n".join(map(json.dumps, reports))
        return self.api.send(
            "POST", "/events", content=lines, headers={"content-type": "application/x-ndjson"}
        )

    def _take(self, reports: list[Body], answer: httpx.Response) -> None:
        if answer.status_code != 202:
            return
        said = answer.json()
        for report, event in zip(reports, said.get("accepted", [said]), strict=True):
            self.acknowledged[report["delivery_key"]] = event["event_id"]


def test_acknowledged_events_outlive_a_kill(site: Mendline) -> None:
    site.start()
    senders = [Sender(number, site.url, site.key) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    until(lambda: sum(len(sender.acknowledged) for sender in senders) >= ENOUGH, 60)
    site.kill()
    for sender in senders:
        sender.join()
    acknowledged = {key: id_ for sender in senders for key, id_ in sender.acknowledged.items()}
    sent = {key: report for sender in senders for key, report in sender.sent.items()}

    with closing(sqlite3.connect(f"file:{site.database}?mode=ro", uri=True)) as database:
        stored = Counter(row[0] for row in database.execute("SELECT id FROM event"))
        keys = Counter(
            row[0] for row in database.execute("SELECT json_extract(body, '$.delivery_key') FROM event")
        )
        counted = dict(database.execute("SELECT id, events FROM incident").fetchall())
        grouped = Counter(row[0] for row in database.execute("SELECT incident_id FROM event"))
    assert len(acknowledged) >= ENOUGH
    assert set(acknowledged.values()) <= set(stored), "an acknowledged event is gone"
    assert set(keys.values()) == {1}, "a delivery was stored twice"
    assert set(keys) <= set(sent)
    assert counted == grouped, "an incident counts other events than it has"

    site.start()
    key, event_id = next(iter(acknowledged.items()))
    assert site.api.get(f"/events/{event_id}")["report"]["delivery_key"] == key
    every = list(sent.values())
    for at in range(0, len(every), 500):
        # Senders that got no answer send again: what was stored is a duplicate, what was not comes now.
        answers = site.api.post("/events", every[at : at + 500])["accepted"]
        for report, answer in zip(every[at : at + 500], answers, strict=True):
            assert answer["duplicate"] == (report["delivery_key"] in keys)
            assert answer["event_id"] == acknowledged.get(report["delivery_key"], answer["event_id"])
    incidents = site.api.get("/incidents", limit=200)["items"]
    assert sum(incident["events"] for incident in incidents) == len(sent)
    for incident in incidents:
        site.api.ended(incident["id"])
