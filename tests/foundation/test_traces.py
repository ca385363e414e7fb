"""Traces: one per episode, whoever adds to it; nothing where nobody asked."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from app.foundation import traces
from app.foundation.traces import Episode
from tests.otlp import Collector, told

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
OF = Episode("inc_1", 1)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector().running() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running
        traces.stop()
        assert running.refused == []


def work(of: Episode = OF) -> None:
    """What happens to an incident, in short."""
    traces.opened(of, AT, AT + timedelta(milliseconds=2), AT + timedelta(milliseconds=5), [PARENT, "garbage"])
    with traces.step("diagnose", lambda: of):
        with traces.part("score", scorer="nearest"):
            pass
        traces.note(type="network_timeout")
    with traces.step("2.1 act 0 1", lambda: Episode(of.incident_id, of.number, under="rem_1")):
        pass
    with traces.step("conclude", lambda: of):
        traces.past("repair", AT, AT + timedelta(seconds=9), "rem_1", ended="verified")


def test_all_of_an_episode_is_one_trace(collector: Collector) -> None:
    traces.start("1.0", "local")
    work()
    traces.stop()
    spans = {span.name: span for span in collector.spans}
    assert sorted(spans) == ["act", "conclude", "diagnose", "group", "ingest", "repair", "score"]
    assert len({span.trace_id for span in collector.spans}) == 1
    root = spans["ingest"]
    assert root.parent_span_id == b""
    for child, parent in {
        "group": "ingest",
        "diagnose": "ingest",
        "score": "diagnose",
        "repair": "ingest",
        "act": "repair",
        "conclude": "ingest",
    }.items():
        assert spans[child].parent_span_id == spans[parent].span_id, child
    assert (root.start_time_unix_nano, root.end_time_unix_nano - root.start_time_unix_nano) == (
        int(AT.timestamp()) * 10**9,
        5_000_000,
    )
    assert told(spans["diagnose"])["mendline.type"] == "network_timeout"
    assert told(spans["act"]) == {
        "mendline.step": "2.1 act 0 1",
        "mendline.incident_id": "inc_1",
        "mendline.episode": 1,
    }
    (link,) = root.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (PARENT[3:35], PARENT[36:52])
    assert collector.resources[0]["service.name"] == "mendline"
    assert collector.resources[0]["service.instance.id"] == "local"


def test_another_process_adds_to_the_same_trace(collector: Collector) -> None:
    for worker in ("one", "two"):
        traces.start("1.0", worker)
        work()
        traces.stop()
    work()
    assert {resource["service.instance.id"] for resource in collector.resources} == {"one", "two"}
    assert len(collector.named("repair")) == 2
    assert len({span.trace_id for span in collector.spans}) == 1
    assert len({span.span_id for span in collector.named("ingest")}) == 1
    assert len({span.span_id for span in collector.named("diagnose")}) == 2


def test_another_episode_is_another_trace(collector: Collector) -> None:
    traces.start("1.0", "local")
    work()
    work(Episode("inc_1", 2))
    traces.stop()
    assert len({span.trace_id for span in collector.spans}) == 2


def test_the_sampler_takes_whole_episodes(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.3")
    traces.start("1.0", "local")
    for number in range(60):
        work(Episode(f"inc_{number}", 1))
    traces.stop()
    whole: dict[bytes, int] = {}
    for span in collector.spans:
        whole[span.trace_id] = whole.get(span.trace_id, 0) + 1
    assert 5 < len(whole) < 35
    assert set(whole.values()) == {7}


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_SAMPLER": "always_off"},
    ],
)
def test_it_can_be_off(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    traces.start("1.0", "local")
    work()
    traces.stop()
    assert collector.spans == []


def test_without_a_word_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    traces.start("1.0", "local")
    assert not traces.on()

    def whose() -> Episode:
        raise AssertionError("nobody needs to know")

    with traces.step("act 0 1", whose):
        pass


def test_an_error_is_told_by_its_type_alone(collector: Collector) -> None:
    traces.start("1.0", "local")
    with pytest.raises(ValueError), traces.step("act 0 1", lambda: OF):
        raise ValueError("a password is hunter2")
    traces.stop()
    (span,) = collector.spans
    assert told(span)["error.type"] == "ValueError"
    assert span.status.code == 2
    assert b"hunter2" not in b"".join(collector.bodies)


def test_a_trace_that_cannot_be_told_stops_no_work(collector: Collector) -> None:
    traces.start("1.0", "local")

    def whose() -> Episode:
        raise OSError("the database is away")

    done = []
    with traces.step("act 0 1", whose):
        done.append(1)
    traces.stop()
    assert done == [1]
    assert collector.spans == []


def test_what_it_says_is_bounded(collector: Collector) -> None:
    traces.start("1.0", "local")
    with traces.step("act 0 1", lambda: OF):
        traces.note(strategy="x" * 5000)
    traces.stop()
    assert len(told(collector.spans[0])["mendline.strategy"]) == 200


@pytest.mark.parametrize(
    "came_with", ["", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", PARENT.upper(), PARENT + "\n", "x" * 9999]
)
def test_what_names_no_span_is_no_link(collector: Collector, came_with: str) -> None:
    traces.start("1.0", "local")
    traces.opened(OF, AT, AT, AT, [came_with])
    traces.stop()
    assert not collector.named("ingest")[0].links


def test_logs_carry_the_trace(collector: Collector) -> None:
    traces.start("1.0", "local")
    with traces.step("act 0 1", lambda: OF):
        said = structlog.contextvars.get_contextvars()
    traces.stop()
    assert said == {"trace_id": collector.spans[0].trace_id.hex(), "incident_id": "inc_1"}
    assert structlog.contextvars.get_contextvars() == {}
