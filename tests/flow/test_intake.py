"""Events over HTTP: taken once, refused with a reason, and never with a secret in them."""

import json
import zlib
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, text

from tests.server import Api, Body, Mendline

pytestmark = pytest.mark.server


@pytest.fixture
def mark() -> str:
    """Letters that no other test sends."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:12])


def event(mark: str, **fields: object) -> Body:
    return {"message": f"something odd with {mark}", "source": "test", **fields}


def refused(answer: httpx.Response, status: int, code: str) -> Body:
    """The problem in an answer that must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: Body = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:mendline:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    return problem


# --- taken ------------------------------------------------------------------------------------


def test_an_event_is_durable_and_grouped(site: Mendline, mark: str) -> None:
    answer = site.api.send("POST", "/events", event(mark, labels={"team": "data"}))
    assert answer.status_code == 202
    said = answer.json()
    assert said["duplicate"] is False
    stored = site.api.get(f"/events/{said['event_id']}")
    assert stored["report"]["message"] == f"something odd with {mark}"
    assert stored["report"]["labels"] == {"team": "data"}
    assert stored["incident_id"] == said["incident_id"]
    again = site.api.post("/events", event(mark))
    assert again["incident_id"] == said["incident_id"]
    assert again["event_id"] != said["event_id"]
    trail = site.api.trail(said["incident_id"])
    assert trail["incident"]["events"] == 2
    found = site.api.get("/incidents", search=mark)["items"]
    assert [incident["id"] for incident in found] == [said["incident_id"]]


def test_the_same_delivery_again_changes_nothing(site: Mendline, mark: str) -> None:
    first = site.api.post("/events", event(mark, delivery_key=mark))
    again = site.api.post("/events", event(mark, delivery_key=mark, message="told differently"))
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again["event_id"] == first["event_id"]
    assert again["incident_id"] == first["incident_id"]
    assert site.api.trail(first["incident_id"])["incident"]["events"] == 1
    other = site.api.post("/events", event(mark, delivery_key=mark, source="another"))
    assert other["duplicate"] is False


def test_a_batch_keeps_its_good_elements(site: Mendline, mark: str) -> None:
    batch = [
        event(mark, delivery_key="0"),
        {"text": "no message"},
        event(mark, severity="loud"),
        17,
        event(mark, delivery_key="4"),
        event(mark, delivery_key="4"),
    ]
    answer = site.api.send("POST", "/events", batch)
    assert answer.status_code == 202
    said = answer.json()
    assert [(one["index"], one["duplicate"]) for one in said["accepted"]] == [
        (0, False),
        (4, False),
        (5, True),
    ]
    assert [one["index"] for one in said["errors"]] == [1, 2, 3]
    assert {error["place"] for error in said["errors"][0]["errors"]} == {"message", "text"}
    assert [error["place"] for error in said["errors"][1]["errors"]] == ["severity"]


def test_ndjson_is_a_batch_too(site: Mendline, mark: str) -> None:
    lines = [json.dumps(event(mark)), "", "{not json", json.dumps(event(mark))]
    answer = site.api.send(
        "POST", "/events", content="\n".join(lines), headers={"content-type": "application/x-ndjson"}
    )
    assert answer.status_code == 202
    assert [one["index"] for one in answer.json()["accepted"]] == [0, 2]
    assert [one["index"] for one in answer.json()["errors"]] == [1]


def test_a_recovery_resolves_the_incident_of_its_fingerprint(site: Mendline, mark: str) -> None:
    incident_id = site.api.report(f"odd {mark}", fingerprint=mark)
    site.api.report(f"fine {mark}", fingerprint=mark, status="resolved")
    trail = site.api.trail(incident_id)
    assert trail["incident"]["state"] == "resolved"
    assert trail["transitions"][-1]["actor"] == "source:test"
    unmatched = site.api.post("/events", event(mark, fingerprint=f"{mark}2", status="resolved"))
    assert (unmatched["incident_id"], unmatched["links"]["incident"]) == (None, None)


# --- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "mend_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ä"])
def test_without_a_known_key_nothing_is_taken(site: Mendline, mark: str, key: str) -> None:
    headers = [(b"Authorization", f"Bearer {key}".encode())] if key else []
    answer = httpx.post(f"{site.url}/api/v1/events", json=event(mark), headers=headers, trust_env=False)
    refused(answer, 401, "not_signed_in")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert site.api.get("/incidents", search=mark)["items"] == []


def test_a_role_may_do_what_it_is_for_and_no_more(strict: Mendline, mark: str) -> None:
    viewer = Api(strict.url, strict.new_key(f"viewer-{mark}", "viewer"))
    sender = Api(strict.url, strict.new_key(f"sender-{mark}", "ingest"))
    try:
        refused(viewer.send("POST", "/events", event(mark)), 403, "not_allowed")
        refused(viewer.send("POST", "/pause", {"paused": True}), 403, "not_allowed")
        refused(viewer.send("POST", "/approvals/apr_1/approve", {}), 403, "not_allowed")
        incident_id = sender.report(f"odd {mark}")
        refused(sender.send("GET", f"/incidents/{incident_id}"), 403, "not_allowed")
        assert viewer.trail(incident_id)["incident"]["id"] == incident_id
    finally:
        viewer.close()
        sender.close()


def test_a_body_over_the_limit_is_too_large(strict: Mendline, mark: str) -> None:
    big = event(mark, log="x" * 60_000)
    refused(strict.api.send("POST", "/events", big), 413, "too_large")
    whole = json.dumps(big).encode()
    pieces = (whole[at : at + 5000] for at in range(0, len(whole), 5000))  # without a Content-Length
    answer = strict.api.send("POST", "/events", content=pieces, headers={"content-type": "application/json"})
    refused(answer, 413, "too_large")
    refused(strict.api.send("POST", "/events", [{"message": "x"}] * 1001), 413, "too_large")
    assert strict.api.get("/incidents", search=mark)["items"] == []


@pytest.mark.parametrize("media", ["text/plain", "application/xml", ""])
def test_another_media_type_is_refused(site: Mendline, mark: str, media: str) -> None:
    answer = site.api.send(
        "POST", "/events", content=json.dumps(event(mark)), headers={"content-type": media}
    )
    refused(answer, 415, "wrong_media_type")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("{", ""),
        ("[1, 2", ""),
        ("[]", ""),
        ("null", "(whole)"),
        ("{}", "message"),
        ('{"message": ""}', "message"),
        ('{"message": "x", "sevrity": "error"}', "sevrity"),
        ('{"message": "x", "occurred_at": "2026-01-01T00:00:00"}', "occurred_at"),
        ('[{"message": 1}]', "0.message"),
    ],
)
def test_an_invalid_event_is_told_where(site: Mendline, content: str, place: str) -> None:
    answer = site.api.send("POST", "/events", content=content, headers={"content-type": "application/json"})
    problem = refused(answer, 422, "invalid")
    if place:
        assert place in [error["place"] for error in problem["errors"]]


def test_too_many_events_are_asked_to_come_back(strict: Mendline, mark: str) -> None:
    sender = Api(strict.url, strict.new_key(f"flood-{mark}", "ingest"))
    try:
        assert sender.send("POST", "/events", [event(mark)] * 40).status_code == 202
        answer = sender.send("POST", "/events", [event(mark)] * 40)
        refused(answer, 429, "too_many_requests")
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        sender.close()


@pytest.mark.parametrize("path", ["/incidents/inc_1", "/events/evt_1", "/approvals/apr_1", "/nothing"])
def test_what_is_not_there_is_a_problem_too(site: Mendline, path: str) -> None:
    refused(site.api.send("GET", path), 404, "not_found")


# --- secrets ----------------------------------------------------------------------------------

PASSWORD = "correct-horse-Battery9"
TOKEN = "ghp_" + "aB3dE5gH7jK9mN1pQ3rS5tU7vW9xY1zA3bC5"
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZW5kbGluZSJ9.c2lnbmF0dXJlLW9mLXRoZS10ZXN0"


def test_no_secret_reaches_the_disk(lone: Mendline) -> None:
    lone.start()
    message = f"connection timed out: postgres://etl:{PASSWORD}@warehouse:5432/orders"
    more: Body = {
        "title": f"login with password={PASSWORD} failed",
        "log": f"cloning with {TOKEN}\nexport AWS_ACCESS_KEY_ID={AWS}\nAuthorization: Bearer {JWT}\n" * 3,
        "log_url": f"https://ci.example/log?token={PASSWORD}",
        "target": {"system": "shop", "name": "load", "url": f"https://u:{PASSWORD}@shop.example/"},
        "labels": {"password": PASSWORD, "note": f"uses {TOKEN}"},
        "attributes": {"env": {"DB_PASSWORD": PASSWORD, "list": [f"key {AWS}", {"api_key": PASSWORD}]}},
    }
    incident_id = lone.api.report(message, **more)
    trail = lone.api.ended(incident_id)
    lone.api.post(f"/incidents/{incident_id}/correction", {"type": "network_timeout"})
    shown = json.dumps(trail)
    lone.api.post("/diagnose", {"message": f"password={PASSWORD}", "log": TOKEN})
    engine = create_engine(f"sqlite:///{lone.database}")
    with engine.connect() as connection:
        logs = [
            zlib.decompress(row.log).decode() for row in connection.execute(text("SELECT * FROM event_log"))
        ]
    engine.dispose()
    (log,) = logs
    lone.kill()  # so that nothing is tidied up: the write-ahead logs are there as they were
    files = [path for path in lone.data.rglob("*") if path.is_file()]
    assert {"mendline.db", "mendline.db-wal", "engine.db"} <= {path.name for path in files}
    for secret in (PASSWORD, TOKEN, AWS, JWT):
        held = [path.name for path in files if secret.encode() in path.read_bytes()]
        assert held == [], f"{secret} is in {held}"
        assert secret not in shown
        assert secret not in log
        assert secret not in lone.log
    assert "[redacted]" in shown
    assert "[redacted]" in log
