"""What is written about metrics, and what watches them, agrees with what `/metrics` shows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from app.foundation import metrics

ROOT = Path(__file__).parents[2]
OPERATE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "docker" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((ROOT / "docker" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
_INFOS = {"mendline_build": ("version",), "mendline_worker": ("name",)}
# Given by Prometheus itself, or by its client of this process.
_OTHERS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
_OF_SCRAPING = {"job", "instance", "le"}
_WORDS = {
    *("sum", "max", "count", "by", "bool", "or", "unless", "offset"),
    *("rate", "increase", "histogram_quantile"),
}


def known() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Type, labels and text of each metric, by the name of its family."""
    found = {}
    for one in vars(metrics).values():
        if isinstance(one, MetricWrapperBase):
            (family,) = one.describe()
            ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
            labels = _INFOS.get(family.name, tuple(one._labelnames))
            found[family.name + ending] = (family.type, labels, family.documentation)
    return found


def series() -> dict[str, set[str]]:
    """The labels of everything that can be asked for."""
    found = {name: {*_OF_SCRAPING} for name in _OTHERS}
    for name, (kind, labels, _) in known().items():
        endings = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
        found |= {name + ending: {*labels, *_OF_SCRAPING} for ending in endings}
    return found


def expressions() -> dict[str, str]:
    """Every PromQL expression, by where it stands."""
    asked = {f"alert {rule['alert']}": rule["expr"] for rule in ALERTS}
    for panel in DASHBOARD["panels"]:
        asked |= {f"panel {panel['title']} {t['refId']}": t["expr"] for t in panel.get("targets", ())}
    return asked


class TestNames:
    def test_each_metric_is_named_as_the_field_does(self) -> None:
        for name, (kind, _, text) in known().items():
            assert re.fullmatch(r"mendline_[a-z_]+", name), name
            assert text.endswith("."), name
            assert name.endswith("_total") == (kind == "counter"), name
            assert not re.search(r"_ms\b|milli|minute|hour", name), name

    def test_the_list_in_the_document_is_what_there_is(self) -> None:
        rows = re.findall(r"^\| `(mendline_\w+)` \| (\w+) \| ([^|]*) \| ", OPERATE, re.M)
        told = {
            name: (kind, tuple(part for part in labels.strip().split(", ") if part))
            for name, kind, labels in rows
        }
        assert told == {name: (kind, labels) for name, (kind, labels, _) in known().items()}


class TestWhatAsks:
    @pytest.mark.parametrize(("where", "asks"), sorted(expressions().items()))
    def test_it_asks_for_what_there_is(self, where: str, asks: str) -> None:
        bare = re.sub(r'"[^"]*"', '""', asks).replace("$__rate_interval", "5m")
        there = series()
        names = set(re.findall(r"\b(?:mendline|process)_\w+|\bup\b", bare))
        assert names
        assert names - set(there) == set()
        labels = {
            label for inside in re.findall(r"\{([^}]*)\}", bare) for label in re.findall(r"(\w+)\s*=", inside)
        }
        labels |= {
            label.strip() for inside in re.findall(r"by \(([^)]*)\)", bare) for label in inside.split(",")
        }
        assert labels - set().union(*(there[name] for name in names)) == set()
        rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|\b\d+[smhd]\b", " ", bare)
        assert set(re.findall(r"[a-z_]+", rest)) - names - _WORDS == set()

    def test_prometheus_would_read_it(self) -> None:
        promql = pytest.importorskip("promql_parser", reason="no parser of PromQL is installed here")
        for asks in expressions().values():
            assert promql.parse(asks.replace("$__rate_interval", "5m"))

    def test_a_counter_is_asked_for_its_growth_and_a_histogram_for_its_buckets(self) -> None:
        for where, asks in expressions().items():
            for name in re.findall(r"mendline_\w+_bucket", asks):
                assert re.search(rf"histogram_quantile\(.*rate\({name}", asks), where
            for name in re.findall(r"mendline_\w+_total", asks):
                assert re.search(rf"(rate|increase)\({name}", asks), where

    def test_labels_in_legends_are_there(self) -> None:
        for panel in DASHBOARD["panels"]:
            for target in panel.get("targets", ()):
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    assert label == "instance" or label in target["expr"], panel["title"]


class TestAlerts:
    def test_each_says_what_it_is_and_what_to_do(self) -> None:
        sections = {heading.lower() for heading in re.findall(r"^### (\w+)$", OPERATE, re.M)}
        for rule in ALERTS:
            assert rule["labels"]["severity"] in ("critical", "warning", "info")
            assert rule["annotations"]["summary"]
            document, _, section = rule["annotations"]["runbook_url"].partition("#")
            assert (document, section) == ("docs/operate.md", rule["alert"].lower())
        assert {rule["alert"].lower() for rule in ALERTS} == sections
        assert len(ALERTS) == len(sections)

    def test_prometheus_loads_the_rules_that_are_there(self) -> None:
        scrapes = _yaml("prometheus/prometheus.yaml")
        assert scrapes["rule_files"] == ["alerts.yaml"]
        assert [job["job_name"] for job in scrapes["scrape_configs"]] == ["mendline"]
        assert any('job="mendline"' in rule["expr"] for rule in ALERTS)


class TestDashboard:
    def test_its_panels_do_not_overlap(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in DASHBOARD["panels"]:
            at = panel["gridPos"]
            cells = {
                (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
            }
            assert at["x"] + at["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
        assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])

    def test_grafana_finds_it(self) -> None:
        assert _yaml("grafana/provisioning/dashboards/mendline.yaml")["providers"][0]["type"] == "file"
        assert (
            _yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]["type"]
            == "prometheus"
        )


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / "docker" / name).read_text(encoding="utf-8"))
