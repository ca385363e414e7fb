"""One incident, from its event to its outcome, is one trace at a real collector's door."""

from collections.abc import Iterator

import httpx
import pytest

from tests.otlp import Collector, told
from tests.scenes import Job, Make
from tests.server import Mendline, outcomes

pytestmark = pytest.mark.server
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector().running() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mendline-of-tests")
        yield running


def test_from_event_to_outcome(collector: Collector, lone: Mendline, scene: Make, name: str) -> None:
    api = lone.start(fresh=True)
    job = scene(Job)
    assert isinstance(job, Job)
    target = job.register(lone, name, environment="ask")
    body = {"message": f"{job.message} of the canary", "source": "test", "target": target}
    answer = api.send("POST", "/events", body, headers={"traceparent": PARENT})
    incident_id = answer.json()["incident_id"]
    api.approve(incident_id)
    assert outcomes(api.ended(incident_id))[0]["ended"] == "verified"
    api.wait(incident_id, lambda trail: trail["incident"]["state"] == "resolved")
    metrics = httpx.get(f"{lone.url}/metrics", trust_env=False).text
    assert 'mendline_repair_seconds_count{strategy="retry_with_exponential_backoff"} 1.0' in metrics
    assert 'mendline_answer_seconds_count{answer="approved"} 1.0' in metrics
    assert "mendline_decision_to_act_seconds_count 1.0" in metrics
    lone.stop()
    assert {resource["service.name"] for resource in collector.resources} == {"mendline-of-tests"}
    assert len({span.trace_id for span in collector.spans}) == 1
    names = {span.name for span in collector.spans}
    assert names >= {
        "ingest",
        "group",
        "diagnose",
        "score",
        "decide",
        "tell",
        "read answer",
        "approval",
        "still",
        "repair",
        "snapshot",
        "act",
        "check",
        "end",
        "conclude",
    }
    ids = {span.span_id for span in collector.spans}
    assert [span.name for span in collector.spans if span.parent_span_id not in ids] == ["ingest"]
    (ingest,) = collector.named("ingest")
    assert ingest.links[0].trace_id.hex() == PARENT[3:35]
    first, second = collector.named("decide")
    assert (told(first)["mendline.effect"], told(second)["mendline.effect"]) == ("ask", "act")
    everything = b"".join(collector.bodies)
    assert b"canary" not in everything
    assert lone.key.encode() not in everything
    assert ingest.trace_id.hex() in lone.log
