"""Alertmanager's webhooks: recorded payloads, cases derived from them, and hostile ones."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.intake.event import LOG_LIMIT, Report, Severity, Status, Target
from app.intake.source import BadPayload, BadSignature
from app.intake.sources.alertmanager import Alertmanager

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "payloads" / "alertmanager"
RECORDED = sorted(FOLDER.glob("*.json"))
SOURCE = Alertmanager(Alertmanager.Params(secret=SecretStr("pa:ss wörd")))
needs_payloads = pytest.mark.skipif(
    not RECORDED, reason="the recorded payloads (../shared/data/payloads/alertmanager) are not here"
)
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "HighLatency", "severity": "critical", "service": "checkout"},
    "annotations": {"summary": "Slow", "description": "p99 is 3 s"},
    "startsAt": "2026-11-20T10:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph?g0.expr=x",
    "fingerprint": "a1bc48475b20e73d",
}


def parse(*alerts: dict[str, Any], version: Any = "4") -> list[Report]:
    return list(SOURCE.parse({}, json.dumps({"version": version, "alerts": alerts}).encode()))


def one(**fields: Any) -> Report:
    (report,) = parse(ALERT | fields)
    return report


def labelled(**labels: str) -> Report:
    return one(labels=labels)


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class TestVerify:
    def test_takes_the_secret_as_a_bearer_token(self) -> None:
        SOURCE.verify({"authorization": "Bearer pa:ss wörd"}, b"anything")

    @pytest.mark.parametrize("user", ["alertmanager", ""])
    def test_takes_the_secret_as_a_basic_password(self, user: str) -> None:
        SOURCE.verify(basic(user, "pa:ss wörd"), b"\xff")

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": ""},
            {"authorization": "Bearer"},
            {"authorization": "Bearer "},
            {"authorization": "Bearer wrong"},
            {"authorization": "pa:ss wörd"},
            {"authorization": "Digest pa:ss wörd"},
            {"authorization": "Basic pa:ss wörd"},
            {"authorization": "Basic !!!"},
            {"authorization": "Basic /w=="},
            {"authorization": "Basic cGE="},
            {"authorization": "Bearer \ud800"},
            basic("pa", "ss wörd"),
            basic("pa:ss wörd", ""),
        ],
    )
    def test_refuses_everything_else(self, headers: dict[str, str]) -> None:
        with pytest.raises(BadSignature):
            SOURCE.verify(headers, b"{}")

    def test_needs_a_secret(self) -> None:
        with pytest.raises(ValidationError):
            Alertmanager.Params(secret=SecretStr(""))


@needs_payloads
class TestRecorded:
    def test_a_resolved_alert_of_version_4(self) -> None:
        body = (FOLDER / "zulip__single_alert.json").read_bytes()
        (report,) = SOURCE.parse({}, body)
        assert report.message == "CPU core temperature is 34.75C"
        assert report.title == "High CPU Temperature"
        assert report.status is Status.RESOLVED
        assert report.severity is Severity.CRITICAL
        assert report.fingerprint == "a1bc48475b20e73d"
        assert report.occurred_at == datetime(2020, 2, 6, 0, 17, 58, 432911, tzinfo=UTC)
        assert report.delivery_key == "a1bc48475b20e73d|2020-02-06T00:17:58.432911+00:00|resolved"
        assert report.target == Target(
            system="prometheus",
            kind="host",
            name="andromeda",
            url="http://cobalt:9090/graph?g0.expr=avg+by%28host%29+%28sensors_temp_input%7Bfeature%3D~%22core_"
            "%5B0-9%5D%2B%22%7D%29+%3E+15&g0.tab=1",
        )

    @pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
    def test_other_versions_are_refused_with_the_place(self, path: Path) -> None:
        payload = json.loads(path.read_bytes())
        if payload["version"] == "4":
            assert len(SOURCE.parse({}, path.read_bytes())) == len(payload["alerts"])
            return
        with pytest.raises(BadPayload) as caught:
            SOURCE.parse({}, path.read_bytes())
        assert "version" in dict(caught.value.places)

    @pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
    def test_as_version_4_every_payload_is_read(self, path: Path) -> None:
        # Derived: most recordings are older than version 4; its required fields are added here.
        payload = json.loads(path.read_bytes()) | {"version": "4"}
        for alert in payload["alerts"]:
            alert.setdefault("status", "firing")
        reports = SOURCE.parse({}, json.dumps(payload).encode())
        assert len(reports) == len(payload["alerts"])
        for report, alert in zip(reports, payload["alerts"], strict=True):
            assert Report.model_validate(report.model_dump()) == report
            assert report.fingerprint
            assert report.title == alert["labels"]["alertname"]
            assert report.labels.get("severity") == alert["labels"].get("severity")


class TestSeverity:
    @pytest.mark.parametrize(
        ("label", "severity"),
        [
            ("page", Severity.CRITICAL),
            ("critical", Severity.CRITICAL),
            ("Critical", Severity.CRITICAL),
            ("error", Severity.ERROR),
            ("warning", Severity.WARNING),
            ("Warning ", Severity.WARNING),
            ("info", Severity.INFO),
            ("none", Severity.INFO),
            ("purple", Severity.ERROR),
            ("", Severity.ERROR),
        ],
    )
    def test_is_read_from_the_label(self, label: str, severity: Severity) -> None:
        assert labelled(alertname="x", severity=label).severity is severity

    def test_is_error_without_a_label(self) -> None:
        assert labelled(alertname="x").severity is Severity.ERROR


class TestMessage:
    @pytest.mark.parametrize(
        ("annotations", "message"),
        [
            ({"description": "d", "summary": "s", "message": "m"}, "d"),
            ({"summary": "s", "message": "m"}, "s"),
            ({"description": " ", "message": "m"}, "m"),
            ({"runbook_url": "http://x"}, "HighLatency"),
            ({}, "HighLatency"),
            (None, "HighLatency"),
        ],
    )
    def test_is_the_best_that_there_is(self, annotations: dict[str, str] | None, message: str) -> None:
        assert one(annotations=annotations).message == message

    def test_is_something_even_without_a_name(self) -> None:
        assert one(labels={}, annotations=None).message == "an alert without a name"

    def test_annotations_are_kept(self) -> None:
        assert one(annotations={"runbook_url": "http://x"}).attributes == {
            "annotations": {"runbook_url": "http://x"}
        }


class TestTarget:
    @pytest.mark.parametrize(
        ("labels", "key"),
        [
            ({"service": "checkout", "instance": "10.0.0.1:80", "job": "web"}, "prometheus/service/checkout"),
            ({"job": "node", "instance": "db1:9100"}, "prometheus/job/node"),
            ({"instance": "db1:9100"}, "prometheus/instance/db1:9100"),
            ({"namespace": "shop", "pod": "web-1", "container": "web"}, "kubernetes/pod/shop/web-1"),
            ({"namespace": "shop", "pod": "web-1", "service": "web"}, "kubernetes/service/shop/web"),
            ({"namespace": "shop", "deployment": "web", "pod": "x"}, "kubernetes/deployment/shop/web"),
            (
                {
                    "namespace": "shop",
                    "pod": "web-1",
                    "service": "mon-kube-state-metrics",
                    "job": "kube-state-metrics",
                },
                "kubernetes/pod/shop/web-1",
            ),
            ({"cluster": "eu", "namespace": "shop", "pod": "web-1"}, "kubernetes/pod/eu/shop/web-1"),
            ({"namespace": "shop"}, "kubernetes/namespace/shop"),
            ({"cluster": "eu"}, "prometheus/cluster/eu"),
            ({"service": "checkout", "env": "prod"}, "prometheus/service/checkout@prod"),
            ({"service": "checkout", "environment": "prod"}, "prometheus/service/checkout@prod"),
            ({"service": " ", "job": "node"}, "prometheus/job/node"),
            ({"alertname": "Watchdog"}, ""),
        ],
    )
    def test_is_the_steadiest_thing_named(self, labels: dict[str, str], key: str) -> None:
        assert labelled(**labels).target.key == key

    def test_has_the_team_as_owner(self) -> None:
        assert labelled(service="checkout", team="payments").target.owner == "payments"

    @pytest.mark.parametrize("url", ["javascript:alert(1)", "", "/graph", None])
    def test_links_only_to_the_web(self, url: str | None) -> None:
        assert one(generatorURL=url).target.url == ""


class TestFingerprintAndKey:
    def test_resolved_closes_by_the_same_fingerprint(self) -> None:
        assert one().fingerprint == one(status="resolved").fingerprint == "a1bc48475b20e73d"

    @pytest.mark.parametrize("given", [None, ""])
    def test_is_derived_from_the_labels_in_any_order(self, given: str | None) -> None:
        labels = ALERT["labels"]
        backwards = dict(reversed(labels.items()))
        first, second = one(fingerprint=given), one(fingerprint=given, labels=backwards)
        assert first.fingerprint == second.fingerprint != one(fingerprint=given, labels={}).fingerprint

    def test_derived_ones_tell_apart_what_concatenates_alike(self) -> None:
        one_way, other_way = {"a": "bc"}, {"ab": "c"}
        assert (
            one(fingerprint="", labels=one_way).fingerprint
            != one(fingerprint="", labels=other_way).fingerprint
        )

    def test_a_repeated_notification_has_the_same_key(self) -> None:
        assert one().delivery_key == one(annotations={"summary": "still slow"}).delivery_key != ""

    def test_start_status_and_end_make_the_key(self) -> None:
        later = "2026-11-20T11:00:00Z"
        keys = [
            one().delivery_key,
            one(startsAt=later).delivery_key,
            one(status="resolved").delivery_key,
            one(status="resolved", endsAt=later).delivery_key,
            one(fingerprint="b").delivery_key,
        ]
        assert len(set(keys)) == 5
        assert one(endsAt=later).delivery_key == keys[0]

    @pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", None])
    def test_without_a_start_there_is_neither_time_nor_key(self, start: str | None) -> None:
        # A key without its start would make the alert's next firing a duplicate for ever.
        report = one(startsAt=start)
        assert (report.occurred_at, report.delivery_key) == (None, "")

    def test_one_report_an_alert(self) -> None:
        first, second = parse(ALERT, ALERT | {"status": "resolved", "fingerprint": "b"})
        assert (first.status, second.status) == (Status.FIRING, Status.RESOLVED)

    def test_no_alerts_no_reports(self) -> None:
        assert parse() == []


HOSTILE_BODIES = {
    "nothing": b"",
    "no JSON": b'{"version": "4", "alerts": [',
    "null": b"null",
    "a list": b"[]",
    "not UTF-8": b'{"version": "4", "alerts": [], "receiver": "\xff"}',
    "half a surrogate": b'{"version": "\\udc00"}',
    "deep": b"[" * 100_000,
    "deep inside": b'{"version": "4", "alerts": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "no version": b'{"alerts": []}',
    "no alerts": b'{"version": "4"}',
    "alerts null": b'{"version": "4", "alerts": null}',
    "an alert null": b'{"version": "4", "alerts": [null]}',
    "a form": b"payload=%7B%7D",
}


class TestHostile:
    @pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
    def test_is_refused_with_a_place(self, body: bytes) -> None:
        with pytest.raises(BadPayload) as caught:
            SOURCE.parse({}, body)
        assert caught.value.places

    @pytest.mark.parametrize("version", ["3", "5", 4, 4.0, None, ["4"], "\uff14"])
    def test_other_versions_are_refused(self, version: Any) -> None:
        with pytest.raises(BadPayload) as caught:
            parse(ALERT, version=version)
        assert [place for place, _ in caught.value.places] == ["version"]

    @pytest.mark.parametrize(
        ("fields", "place"),
        [
            ({"status": "suppressed"}, "alerts.1.status"),
            ({"status": None}, "alerts.1.status"),
            ({"labels": None}, "alerts.1.labels"),
            ({"labels": {"severity": 3}}, "alerts.1.labels.severity"),
            ({"labels": {"severity": None}}, "alerts.1.labels.severity"),
            ({"annotations": ["x"]}, "alerts.1.annotations"),
            ({"startsAt": "2026-11-20T10:00:00"}, "alerts.1.startsAt"),
            ({"startsAt": "soon"}, "alerts.1.startsAt"),
            ({"startsAt": 1e300}, "alerts.1.startsAt"),
            ({"fingerprint": 7}, "alerts.1.fingerprint"),
            ({"generatorURL": {}}, "alerts.1.generatorURL"),
        ],
    )
    def test_wrong_types_are_named(self, fields: dict[str, Any], place: str) -> None:
        with pytest.raises(BadPayload) as caught:
            parse(ALERT, ALERT | fields)
        assert [where for where, _ in caught.value.places] == [place]

    def test_of_a_key_given_twice_the_last_counts(self) -> None:
        body = b'{"version": "3", "version": "4", "alerts": []}'
        assert SOURCE.parse({}, body) == ()

    def test_huge_labels_and_annotations_are_cut(self) -> None:
        huge = "x" * (LOG_LIMIT + 10)
        many = {f"label_{n}": "y" for n in range(1_000)}
        report = one(
            labels={"alertname": huge, "service": huge, "env": huge, huge: huge, **many},
            annotations={"description": huge, **many},
            generatorURL="http://" + huge,
            fingerprint=huge,
        )
        assert Report.model_validate(report.model_dump()) == report
        assert len(report.labels) == 100
        assert len(report.message) == LOG_LIMIT

    def test_long_names_that_differ_at_the_end_stay_two(self) -> None:
        first, second = labelled(service="x" * 600 + "1"), labelled(service="x" * 600 + "2")
        assert first.target.key != second.target.key

    def test_the_latest_and_earliest_times_are_no_trouble(self) -> None:
        for time in ("9999-12-31T23:59:59-12:00", "0002-01-01T00:00:00+14:00", "1969-12-31T23:59:59.999Z"):
            report = one(startsAt=time)
            assert Report.model_validate_json(report.model_dump_json()) == report
