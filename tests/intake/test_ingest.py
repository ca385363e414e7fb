"""Ingest: reading with places, preparing, and the order of answers."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.foundation.clock import FrozenClock
from app.foundation.errors import Invalid, TooLarge
from app.foundation.ids import derived_id
from app.intake.event import LOG_LIMIT, Accepted, Event, Report, Severity, Target
from app.intake.inbox import Inbox
from app.intake.ingest import BATCH_LIMIT, Ingest, prepare, read_array, read_many, read_one

# A shared machine may be slow at any moment; what must be fast has its own tests.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def places(body: bytes) -> tuple[tuple[str, str], ...]:
    with pytest.raises(Invalid) as caught:
        read_one(body)
    return caught.value.places


class TestReadOne:
    def test_reads_the_least(self) -> None:
        report = read_one(b'{"message": "it broke"}')
        assert (report.message, report.severity, report.target) == ("it broke", Severity.ERROR, Target())

    def test_reads_everything(self) -> None:
        body = {
            "message": "m",
            "title": "t",
            "severity": "critical",
            "target": {"system": "shop", "kind": "job", "name": "load", "environment": "prod"},
            "source": "cron",
            "occurred_at": "2026-11-20T10:00:00+01:00",
            "status": "resolved",
            "delivery_key": "k",
            "labels": {"a": "b"},
            "attributes": {"n": [1, {"x": None}]},
        }
        report = read_one(json.dumps(body).encode())
        assert report.target.key == "shop/job/load@prod"
        assert report.model_dump(mode="json", exclude_unset=True)["attributes"] == body["attributes"]

    @pytest.mark.parametrize(
        ("fields", "place"),
        [
            ({"message": ""}, "message"),
            ({"message": None}, "message"),
            ({"message": "x" * (LOG_LIMIT + 1)}, "message"),
            ({"severity": "bad"}, "severity"),
            ({"target": {"nmae": "x"}}, "target.nmae"),
            ({"target": "x"}, "target"),
            ({"occurred_at": "2026-11-20T10:00:00"}, "occurred_at"),
            ({"labels": {"a": 1}}, "labels.a"),
            ({"labels": {str(n): "" for n in range(101)}}, "labels"),
            ({"mesage": "x"}, "mesage"),
        ],
    )
    def test_says_where_it_is_wrong(self, fields: dict[str, Any], place: str) -> None:
        assert [where for where, _ in places(json.dumps({"message": "m"} | fields).encode())] == [place]

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"null", b"[]", b'"x"', b'{"message": "\xff"}', b"[" * 5_000]
    )
    def test_says_that_it_is_no_event(self, body: bytes) -> None:
        assert [where for where, _ in places(body)] == ["(whole)"]

    def test_does_not_repeat_the_values(self) -> None:
        assert "hunter2" not in str(places(b'{"message": "m", "severity": "hunter2", "job_id": ["hunter2"]}'))

    def test_does_not_repeat_a_huge_name_nor_a_thousand_mistakes(self) -> None:
        found = places(json.dumps({"x" * 100_000: 1, **{str(n): 1 for n in range(1_000)}}).encode())
        assert len(found) == 20
        assert max(len(place) for place, _ in found) == 200


class TestReadMany:
    def test_keeps_the_good_and_places_the_bad(self) -> None:
        good, bad = read_many([{"message": "a"}, {"message": ""}, "x", {"message": "b"}])
        assert [(index, report.message) for index, report in good] == [(0, "a"), (3, "b")]
        assert [(element.index, element.places[0][0]) for element in bad] == [(1, "message"), (2, "(whole)")]

    def test_takes_lines_of_json(self) -> None:
        good, bad = read_many([b'{"message": "a"}', b"{", b'{"message": "b"} '])
        assert [report.message for _, report in good] == ["a", "b"]
        assert [element.index for element in bad] == [1]

    def test_a_line_and_an_element_are_read_alike(self) -> None:
        event = {
            "message": "a",
            "severity": "info",
            "occurred_at": "2026-11-20T10:00:00Z",
            "labels": {"a": "b"},
        }
        (line, element), _ = read_many([json.dumps(event).encode(), event])
        assert line[1] == element[1]

    def test_a_batch_has_a_limit(self) -> None:
        assert len(read_many([{"message": "a"}] * BATCH_LIMIT)[0]) == BATCH_LIMIT
        with pytest.raises(TooLarge, match="1001"):
            read_many([{"message": "a"}] * (BATCH_LIMIT + 1))


class TestReadArray:
    def test_gives_the_elements_unread(self) -> None:
        assert read_array(b'[{"message": 1}, 2]') == [{"message": 1}, 2]

    def test_says_where_the_json_breaks(self) -> None:
        with pytest.raises(Invalid) as caught:
            read_array(b'[{"message": "a"},]')
        assert caught.value.places[0][0] == "character 17"

    @pytest.mark.parametrize("body", [b"{}", b"1", b"null"])
    def test_wants_an_array(self, body: bytes) -> None:
        with pytest.raises(Invalid, match="neither"):
            read_array(body)

    @patient
    @given(body=st.binary())
    def test_any_bytes_give_elements_or_invalid(self, body: bytes) -> None:
        try:
            elements = read_array(body)
        except Invalid:
            return
        read_many(elements)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
REPORTS = st.builds(
    Report,
    message=st.text(min_size=1),
    title=st.text(),
    log=st.text(),
    job_id=st.text(),
    run_id=st.text(),
    fingerprint=st.text(),
    delivery_key=st.text(),
    target=st.builds(Target, system=st.text(), name=st.text(), url=st.text()),
    labels=st.dictionaries(st.text(), st.text(), max_size=3),
    attributes=st.dictionaries(st.text(), JSON, max_size=3),
)


class TestPrepare:
    def test_redacts_everything_that_is_shown(self) -> None:
        secret = "password=hunter2"
        report = Report(
            message=secret,
            title=secret,
            log=secret,
            log_url="https://u:hunter2@ci/log",
            target=Target(name="x", url="https://u:hunter2@ci/run"),
            labels={"a": secret, "password": "hunter2"},
            attributes={"a": [{"b": secret}], "token": {"value": "hunter2"}},
        )
        event = prepare(report, "s", NOW)
        assert "hunter2" not in event.model_dump_json()
        assert event.template == "password=[redacted]"
        assert event.report.target.name == "x"

    def test_the_same_source_and_key_give_the_same_id(self) -> None:
        one, two = (prepare(Report(message=m, delivery_key="k"), "s", NOW) for m in ("a", "b"))
        assert one.id == two.id == derived_id("evt", "s", "k")

    def test_another_source_or_key_gives_another_id(self) -> None:
        ids = {
            prepare(Report(message="m", delivery_key="k"), "s", NOW).id,
            prepare(Report(message="m", delivery_key="k"), "t", NOW).id,
            prepare(Report(message="m", delivery_key="l"), "s", NOW).id,
        }
        assert len(ids) == 3

    def test_without_a_key_every_event_is_new(self) -> None:
        assert prepare(Report(message="m"), "s", NOW).id != prepare(Report(message="m"), "s", NOW).id

    def test_the_report_may_name_its_source(self) -> None:
        assert prepare(Report(message="m", source="cron"), "key:ann", NOW).source == "cron"
        assert prepare(Report(message="m"), "key:ann", NOW).source == "key:ann"

    def test_a_mark_that_is_longer_than_its_secret_keeps_the_limits(self) -> None:
        report = Report(
            message=("pwd=a " * (LOG_LIMIT // 6 + 1))[:LOG_LIMIT],
            title=("pwd=a " * 400)[:2000],
            labels={("pwd=a " * 100)[:500]: ("pwd=a " * 400)[:2000]},
            attributes={("pwd=a " * 100)[:500]: 1},
            target=Target(url=("pwd=a " * 400)[:2000]),
        )
        stored = prepare(report, "s", NOW).report
        assert Report.model_validate_json(stored.model_dump_json()) == stored

    def test_nul_which_postgres_does_not_store_is_replaced(self) -> None:
        nul = "a\x00b"
        target = Target(system=nul, kind=nul, name=nul, environment=nul, owner=nul, url=nul)
        report = Report(
            message=nul,
            title=nul,
            log=nul,
            job_id=nul,
            run_id=nul,
            source=nul,
            fingerprint=nul,
            target=target,
        )
        event = prepare(report, nul, NOW)
        assert "\\u0000" not in event.model_dump_json()
        assert (event.report.message, event.source) == ("a\ufffdb", "a\ufffdb")

    def test_attributes_of_a_batch_may_be_deeper_than_can_be_stored(self) -> None:
        elements = read_array(
            b'[{"message": "m", "attributes": {"a": ' + b"[" * 1_000 + b"]" * 1_000 + b"}}]"
        )
        ((_, report),), _ = read_many(elements)
        stored = prepare(report, "s", NOW).report
        assert Report.model_validate_json(stored.model_dump_json()) == stored

    @patient
    @given(report=REPORTS)
    def test_what_is_prepared_can_be_stored_and_read_back(self, report: Report) -> None:
        stored = prepare(report, "s", NOW).report.model_dump_json()
        assert "\\u0000" not in Report.model_validate_json(stored).message
        assert Report.model_validate_json(stored).model_dump_json() == stored


class TestIngest:
    def test_answers_in_order_once_all_is_durable(self) -> None:
        def commit(events: Sequence[Event]) -> list[Accepted]:
            return [
                Accepted(event_id=event.id, incident_id=event.source, duplicate=False) for event in events
            ]

        inbox = Inbox(commit)
        ingest = Ingest(inbox, FrozenClock(NOW))
        reports = [Report(message="m", delivery_key=str(n), log="x" * 10_000) for n in range(10)]
        answers = asyncio.run(ingest.ingest(reports, "s"))
        inbox.close()
        assert [answer.event_id for answer in answers] == [derived_id("evt", "s", str(n)) for n in range(10)]

    def test_nothing_is_answered_at_once(self) -> None:
        inbox = Inbox(lambda events: [])
        inbox.close()
        assert asyncio.run(Ingest(inbox, FrozenClock(NOW)).ingest([], "s")) == []
