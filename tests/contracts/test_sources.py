"""What every webhook source promises, checked for each in `SOURCES`."""

import gc
import hashlib
import hmac
import json
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from app.intake.event import Report
from app.intake.source import BadPayload, BadSignature
from app.intake.sources import SOURCES

# A shared machine may be slow at any moment; what must be fast has its own tests.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECRET = "correct horse battery staple"
HEADINGS = ("Gives:", "Trust:", "Key:", "Leaves:", "From:")


def _sign_github(body: bytes, secret: str) -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"}


def _sign_alertmanager(body: bytes, secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


class Known(NamedTuple):
    """What the contract needs to know of a source: how its sender signs, and one usual payload."""

    sign: Callable[[bytes, str], dict[str, str]]
    headers: Mapping[str, str]
    payload: Mapping[str, Any]


KNOWN = {
    "github": Known(
        _sign_github,
        {"x-github-event": "workflow_run", "x-github-delivery": "d1"},
        {
            "action": "completed",
            "repository": {"full_name": "octo/app"},
            "workflow": {"name": "build"},
            "workflow_run": {"id": 1, "head_branch": "main", "conclusion": "failure", "run_attempt": 1},
        },
    ),
    "alertmanager": Known(
        _sign_alertmanager,
        {},
        {
            "version": "4",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "Down", "job": "web"},
                    "annotations": {"summary": "web is down"},
                    "startsAt": "2026-11-20T10:00:00Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus/graph",
                    "fingerprint": "a1bc48475b20e73d",
                }
            ],
        },
    ),
}
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.id)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def made(source: Any, secret: str = SECRET) -> Any:
    return source(source.Params(secret=SecretStr(secret)))


def usual(source: Any) -> tuple[Mapping[str, str], bytes]:
    known = KNOWN[source.id]
    return known.headers, json.dumps(known.payload).encode()


def outcome(source: Any, headers: Mapping[str, str], body: bytes) -> Sequence[Report] | BadPayload:
    """What parse gives or raises; anything but reports and BadPayload fails the test."""
    result: Sequence[Report] | BadPayload
    try:
        result = made(source).parse(headers, body)
    except BadPayload as error:
        result = error
    if isinstance(result, BadPayload):
        assert result.places
        return result
    for report in result:
        assert Report.model_validate(report.model_dump()) == report
        assert report.source == ""  # `ingest` names the source, not the payload
    return result


def replaced(value: Any, path: Sequence[str | int], by: Any) -> Any:
    """`value` with what stands at `path` replaced."""
    if not path:
        return by
    copy: Any = dict(value) if isinstance(value, Mapping) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


def paths(value: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield before
    inside = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in inside:
        yield from paths(item, (*before, key))


def test_every_source_is_known_here() -> None:
    assert sorted(KNOWN) == sorted(source.id for source in SOURCES)


@every_source
class TestShape:
    def test_the_module_says_what_one_must_know(self, source: Any) -> None:
        text = sys.modules[source.__module__].__doc__ or ""
        places = [text.find(f"\n{heading}") for heading in HEADINGS]
        assert -1 not in places
        assert places == sorted(places)

    def test_an_empty_secret_is_refused(self, source: Any) -> None:
        with pytest.raises(ValidationError):
            source.Params(secret=SecretStr(""))

    def test_parameters_do_not_show_the_secret(self, source: Any) -> None:
        assert SECRET not in repr(source.Params(secret=SecretStr(SECRET)))

    def test_the_usual_payload_gives_a_report_that_can_be_told_again(self, source: Any) -> None:
        (report,) = made(source).parse(*usual(source))
        assert report.delivery_key
        assert report.fingerprint
        assert report.target.key


@every_source
class TestVerify:
    def test_takes_what_the_sender_signs(self, source: Any) -> None:
        _, body = usual(source)
        made(source).verify(KNOWN[source.id].sign(body, SECRET), body)

    def test_refuses_no_signature(self, source: Any) -> None:
        headers, body = usual(source)
        with pytest.raises(BadSignature):
            made(source).verify(headers, body)

    def test_refuses_the_signature_of_another_secret(self, source: Any) -> None:
        _, body = usual(source)
        with pytest.raises(BadSignature):
            made(source).verify(KNOWN[source.id].sign(body, "wrong"), body)

    @patient
    @given(value=st.text(), body=st.binary())
    def test_refuses_any_other_header(self, source: Any, value: str, body: bytes) -> None:
        for name in KNOWN[source.id].sign(b"", SECRET):
            with pytest.raises(BadSignature):
                made(source).verify({name: value}, body)


@every_source
class TestParse:
    @patient
    @given(body=st.binary())
    @example(body=b"[" * 10_000)
    @example(body=b"\xef\xbb\xbf{}")
    @example(body=b'{"a":"\\ud800"}')
    @example(body=b"1" * 5_000)
    def test_any_bytes_give_reports_or_bad_payload(self, source: Any, body: bytes) -> None:
        outcome(source, KNOWN[source.id].headers, body)

    @patient
    @given(value=JSON)
    def test_any_json_gives_reports_or_bad_payload(self, source: Any, value: Any) -> None:
        outcome(source, KNOWN[source.id].headers, json.dumps(value).encode())

    @patient
    @given(data=st.data(), value=JSON)
    def test_any_json_in_any_place_gives_reports_or_bad_payload(
        self, source: Any, data: st.DataObject, value: Any
    ) -> None:
        payload = KNOWN[source.id].payload
        path = data.draw(st.sampled_from(list(paths(payload))))
        outcome(source, KNOWN[source.id].headers, json.dumps(replaced(payload, path, value)).encode())

    @patient
    @given(data=st.data())
    def test_a_body_that_breaks_off_gives_bad_payload(self, source: Any, data: st.DataObject) -> None:
        headers, body = usual(source)
        cut = data.draw(st.integers(0, len(body) - 1))
        assert isinstance(outcome(source, headers, body[:cut]), BadPayload)

    @patient
    @given(headers=st.dictionaries(st.sampled_from(["x-github-event", "x-github-delivery", "x"]), st.text()))
    def test_any_headers_give_reports_or_bad_payload(self, source: Any, headers: dict[str, str]) -> None:
        outcome(source, headers, usual(source)[1])

    def test_twice_gives_the_same(self, source: Any) -> None:
        headers, body = usual(source)
        first = made(source)
        assert first.parse(headers, body) == first.parse(headers, body) == made(source).parse(headers, body)

    def test_uses_no_clock_no_network_and_no_chance(self, source: Any) -> None:
        headers, body = usual(source)
        signature = KNOWN[source.id].sign(body, SECRET)
        subject = made(source)
        with watched() as used:
            subject.verify(signature, body)
            subject.parse(headers, body)
        assert used == []


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collects the names of the standard library's clocks, sockets and dice that are called inside."""
    forbidden = {
        *(getattr(time, name) for name in ("time", "time_ns", "monotonic", "perf_counter", "sleep")),
        *(getattr(random, name) for name in ("random", "randint", "choice", "getrandbits")),
        socket.getaddrinfo,
    }
    used: list[str] = []

    def watch(frame: Any, event: str, argument: Any) -> None:
        if event == "c_call" and (
            argument in forbidden
            or getattr(argument, "__qualname__", "") in ("datetime.now", "datetime.utcnow", "date.today")
        ):
            used.append(argument.__qualname__)
        if event == "call" and frame.f_globals.get("__name__") in ("socket", "random", "uuid", "secrets"):
            used.append(f"{frame.f_globals['__name__']}.{frame.f_code.co_name}")

    before = sys.getprofile()
    # Hypothesis times each collection of garbage, whenever one comes.
    gc.disable()
    sys.setprofile(watch)
    try:
        yield used
    finally:
        sys.setprofile(before)
        gc.enable()


def test_the_watch_sees_clocks_and_dice() -> None:
    with watched() as used:
        datetime.now(UTC)
        time.time()
        random.randint(1, 2)
    assert {"datetime.now", "time", "random.randint"} <= set(used)
