"""How long from the answer to an event until the decision on it is recorded, in a service at rest.

One event at a time, each of another target and shape of message, so that each opens an incident. With
`--backlog N`, N incidents wait for their diagnosis all the while.
"""

import argparse
import http.client
import itertools
import json
import sqlite3
import time
from typing import Any

from scripts.benches._common import data_folder, milliseconds, new_key, server
from scripts.benches._incidents import make_incidents
from scripts.benches._messages import reports

_WITHIN = 60.0  # seconds; the decision must be there by then
_LOOK_EVERY = 0.002


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--backlog", type=int, default=0, help="incidents that wait to be diagnosed")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The service is ready before the first event; three events are sent before those that count."""
    with data_folder(options.prepared) as folder:
        if options.backlog:
            make_incidents(folder, options.backlog, first=0, handled=False)
        with server(folder) as running:
            key = new_key(folder, "ingest")
            host, port = running.address()
            connection = http.client.HTTPConnection(host, port, timeout=30)
            database = sqlite3.connect(f"file:{folder}/mendline.db?mode=ro", uri=True, timeout=30)
            used = running.cpu()
            time.sleep(2)
            at_rest = (running.cpu() - used) / 2
            answered, decided = [], []
            for number, report in enumerate(itertools.islice(reports(4), options.events + 3)):
                report["target"]["name"] = f"loop-{number}"
                began = time.perf_counter()
                incident = _send(connection, key, report)
                took = time.perf_counter() - began
                waited = _decided(database, incident, time.perf_counter())
                if number >= 3:
                    answered.append(took)
                    decided.append(waited)
            left = database.execute(
                "SELECT count(*) FROM incident WHERE handled_episode < episode"
            ).fetchone()[0]
            database.close()
            return {
                "events": options.events,
                "answer_ms": milliseconds(answered),
                "decision_ms": milliseconds(decided),
                "cpu_at_rest": round(at_rest, 3),
                "backlog": {"before": options.backlog, "after": left},
                "rss_mb": running.megabytes("VmRSS"),
            }


def _send(connection: http.client.HTTPConnection, key: str, report: dict[str, Any]) -> str:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/events", json.dumps(report), headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 202:
        raise SystemExit(f"bench: the event was answered {answer.status}: {body[:300]!r}")
    incident: str = json.loads(body)["incident_id"]
    return incident


def _decided(database: sqlite3.Connection, incident: str, began: float) -> float:
    """The seconds until the decision can be read."""
    while not database.execute("SELECT 1 FROM decision WHERE incident_id = ?", (incident,)).fetchone():
        if time.perf_counter() - began > _WITHIN:
            raise SystemExit(f"bench: no decision on {incident} within {_WITHIN:g} s")
        time.sleep(_LOOK_EVERY)
    return time.perf_counter() - began
