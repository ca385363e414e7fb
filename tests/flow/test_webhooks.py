"""GitHub's and Alertmanager's own payloads, from the first failure to the recovery."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.scenes import SECRET
from tests.server import ROOT, Body, Mendline

pytestmark = pytest.mark.server

PAYLOADS = ROOT.parent / "shared" / "data" / "payloads"


def payload(path: str) -> Any:
    """A recorded payload; the test is skipped where the recordings are not at hand."""
    file: Path = PAYLOADS / path
    if not file.exists():
        pytest.skip(f"no recorded payloads at {PAYLOADS.relative_to(ROOT.parent)} beside the repository")
    return json.loads(file.read_text(encoding="utf-8"))


def github(site: Mendline, body: Any, event: str, delivery: str = "", secret: str = SECRET) -> httpx.Response:
    """Delivers as GitHub does."""
    raw = json.dumps(body).encode()
    headers = {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": delivery or str(uuid4()),
        "x-hub-signature-256": f"sha256={hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}",
    }
    return httpx.post(
        f"{site.url}/api/v1/webhooks/github", content=raw, headers=headers, timeout=10, trust_env=False
    )


def alertmanager(site: Mendline, body: Any, secret: str = SECRET) -> httpx.Response:
    """Posts as Alertmanager does."""
    return httpx.post(
        f"{site.url}/api/v1/webhooks/alertmanager",
        json=body,
        headers={"Authorization": f"Bearer {secret}"},
        timeout=10,
        trust_env=False,
    )


def accepted(answer: httpx.Response) -> list[Body]:
    assert answer.status_code == 202, answer.text
    found: list[Body] = answer.json()["accepted"]
    return found


def test_github_from_a_failed_job_to_its_success(site: Mendline) -> None:
    failed = payload("github/workflow_job__completed.failure.with-organization.payload.json")
    branch = failed["workflow_job"]["head_branch"] = f"branch-{uuid4().hex[:8]}"
    (first,) = accepted(github(site, failed, "workflow_job", "delivery-" + branch))
    (again,) = accepted(github(site, failed, "workflow_job", "delivery-" + branch))
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again["event_id"] == first["event_id"]
    trail = site.api.ended(first["incident_id"])
    incident = trail["incident"]
    assert (incident["source"], incident["state"], incident["events"]) == ("github", "firing", 1)
    assert incident["target"]["system"] == "github"
    assert trail["diagnoses"]

    succeeded = json.loads(json.dumps(failed))
    succeeded["workflow_job"] |= {"conclusion": "success", "id": failed["workflow_job"]["id"] + 1}
    (recovery,) = accepted(github(site, succeeded, "workflow_job"))
    assert recovery["incident_id"] == incident["id"]
    assert site.api.trail(incident["id"])["incident"]["state"] == "resolved"


def test_github_pings_and_unsigned_bodies_open_nothing(site: Mendline) -> None:
    ping = payload("github/ping__payload.json")
    assert accepted(github(site, ping, "ping")) == []
    answer = github(site, ping, "ping", secret="another")
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert answer.headers["content-type"] == "application/problem+json"


def test_alertmanager_from_firing_to_resolved(site: Mendline) -> None:
    firing = payload("alertmanager/zulip__single_alert.json")
    (alert,) = firing["alerts"]
    alert |= {"status": "firing", "fingerprint": uuid4().hex[:16]}
    firing["status"] = "firing"
    (first,) = accepted(alertmanager(site, firing))
    (again,) = accepted(alertmanager(site, firing))
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    incident = site.api.ended(first["incident_id"])["incident"]
    assert (incident["source"], incident["state"]) == ("alertmanager", "firing")
    assert incident["severity"] == "critical"
    assert incident["target"]["name"] == alert["labels"]["host"]

    resolved = json.loads(json.dumps(firing))
    resolved["alerts"][0] |= {"status": "resolved", "endsAt": "2020-02-06T00:20:00Z"}
    (recovery,) = accepted(alertmanager(site, resolved))
    assert recovery["incident_id"] == incident["id"]
    trail = site.api.trail(incident["id"])
    assert trail["incident"]["state"] == "resolved"
    assert trail["transitions"][-1]["actor"] == "source:alertmanager"


def test_alertmanager_tells_of_many_alerts_at_once(site: Mendline) -> None:
    many = payload("alertmanager/zulip__single_alert.json")
    (alert,) = many["alerts"]
    many["alerts"] = [{**alert, "status": "firing", "fingerprint": uuid4().hex[:16]} for _ in range(3)]
    found = accepted(alertmanager(site, many))
    assert len({answer["incident_id"] for answer in found}) == 3


def test_alertmanager_with_another_secret_opens_nothing(site: Mendline) -> None:
    answer = alertmanager(site, {"version": "4", "alerts": []}, secret="another")
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")


def test_a_webhook_without_a_secret_is_shut(strict: Mendline) -> None:
    answer = alertmanager(strict, {"version": "4", "alerts": []})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
