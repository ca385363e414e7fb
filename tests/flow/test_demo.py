"""`mendline demo` as a user runs it: a process that starts others, and leaves none of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.systems.process import identify
from tests.doubles import until

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("orders", "prices", "stock", "users", "carts", "tickets", "ledger", "visits", "refunds", "shops")
# Failures like the playground's, from which even words alone make the demo's diagnoses sure.
TEXTS = {
    "network_timeout": "load-{word} failed: TimeoutError: timed out after {n} s, GET http://127.0.0.1:80{n}/warehouse/x",
    "service_unavailable": "GET http://127.0.0.1:80{n}/{word} answered 503 Service Unavailable: no healthy upstream",
    "schema_mismatch": "loading {word}.csv failed: pyarrow.lib.ArrowInvalid: CSV column #{n}: conversion error, int64",
    "data_duplication": "loading {word} failed: sqlite3.IntegrityError: UNIQUE constraint failed: {word}.{word}_id",
    "configuration_error": "load-{word} failed: ConfigurationError: invalid configuration: setting x.{word} is missing"
    " in the configuration file {word}.toml",
    "unknown_error": "monthly-{word} crashed: AttributeError: 'NoneType' object has no attribute '{word}'",
}


@dataclass(frozen=True)
class Site:
    """An installation in which demos are run; `summary` is the first one's."""

    data: Path
    knowledge: Path
    summary: dict[str, Any]

    def scene(self, id_: str) -> dict[str, Any]:
        return next(scene for scene in self.summary["scenes"] if scene["scene"] == id_)

    def start(self, *args: str) -> subprocess.Popen[str]:
        return start(self.data, self.knowledge, *args)

    def left(self) -> list[str]:
        """The commands of processes that still have to do with this installation."""
        listed = subprocess.run(
            ["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True, check=True
        )
        lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
        return [args for stat, args in lines if str(self.data) in args and not stat.startswith("Z")]


def start(data: Path, knowledge: Path, *args: str) -> subprocess.Popen[str]:
    """Starts a demo."""
    settings = {
        "MENDLINE_DATA_DIR": str(data),
        "MENDLINE_KNOWLEDGE__FOLDER": str(knowledge),
        "MENDLINE_KNOWLEDGE__EMBEDDER": "hashing",
        # A demo must not heed these: they are the site's own.
        "MENDLINE_DECISION__ACT_AT": "1",
        "MENDLINE_DB__URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
    }
    return subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "demo", *args],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background inherit an interrupt that is ignored, and so would the demo.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """An installation in which a demo was played to its end."""
    folder = tmp_path_factory.mktemp("demo")
    knowledge, data = folder / "knowledge", folder / "data"
    shutil.copytree(ROOT / "tests" / "data" / "knowledge", knowledge)
    shutil.copy(ROOT / "knowledge" / "taxonomy.yaml", knowledge)
    for type_, text in TEXTS.items():
        with (knowledge / "cases" / f"{type_}.jsonl").open("a") as file:
            for n, word in enumerate(WORDS):
                case = {"id": f"demo-{type_}-{n}", "type": type_, "system": f"system-{n}", "resolution": ""}
                file.write(json.dumps({**case, "text": text.format(word=word, n=10 + n)}) + "\n")
    demo = start(data, knowledge, "--yes", "--json")
    try:
        out, told = demo.communicate(timeout=120)
    finally:
        demo.kill()
    assert demo.returncode == 0, told + out
    assert "preparing once" in told
    return Site(data, knowledge, json.loads(out))


def test_every_scene_ends_as_it_should(site: Site) -> None:
    summary = site.summary
    counts = {"ok": True, "events": 10, "repaired": 5, "undone": 2, "stopped": 1, "shadow": 1, "escalated": 1}
    counts |= {"approved": 1, "denied": 0}
    assert {name: summary[name] for name in counts} == counts
    ends = {
        s["scene"]: (s["type"], s["effect"], s["strategy"], s["ended"], s["approved_by"])
        for s in summary["scenes"]
    }
    retried = ("network_timeout", "act", "retry_with_exponential_backoff", "verified", "")
    assert ends == {
        "flaky-job": retried,
        "killed-service": ("service_unavailable", "act", "recover_service", "verified", ""),
        "spoilt-file": ("schema_mismatch", "act", "run_data_validation_and_cleanup", "verified", ""),
        "repeated-rows": ("data_duplication", "ask", "run_deduplication_script", "verified", "demo-approver"),
        "defect": ("unknown_error", "escalate", "escalate_to_human", "handed_over", ""),
        "seen-before": retried,
        "killed-again": ("service_unavailable", "escalate", "recover_service", "handed_over", ""),
        "wrong-setting": ("configuration_error", "act", "update_configuration_and_retry", "undone", ""),
        "playbook": ("schema_mismatch", "act", "playbook:returns-arrived-broken", "undone", ""),
        "staging-job": ("network_timeout", "shadow", "retry_with_exponential_backoff", "handed_over", ""),
    }
    assert all(scene["seconds"] > 0 for scene in summary["scenes"])


def test_the_far_sides_show_it(site: Site) -> None:
    scenes = {scene["scene"]: scene for scene in site.summary["scenes"]}
    for job, ends in (
        ("flaky-job", ["failed", "failed", "succeeded"]),
        ("seen-before", ["failed", "succeeded"]),
    ):
        runs = scenes[job]["after"]["runs"]
        assert [run["status"] for run in runs] == ends
        assert len({run["key"] for run in runs}) == len(runs)
    shop = scenes["killed-service"]
    assert shop["before"]["pid"] != shop["after"]["pid"]
    assert shop["after"]["health"] == 200
    stock = scenes["spoilt-file"]
    spoilt = {"rows": 252, "repeated": 12, "holes": 14, "outliers": 6, "not numbers": 9, "loads": False}
    clean = {"rows": 240, "repeated": 0, "holes": 0, "outliers": 0, "not numbers": 0, "loads": True}
    assert (stock["before"], stock["after"]) == (spoilt, clean)
    payments = scenes["repeated-rows"]
    assert payments["before"] == {"rows": 412, "repeated": 12, "unique": False}
    assert payments["after"] == {"rows": 400, "repeated": 0, "unique": True}


def test_a_repair_that_does_not_help_is_undone_by_itself(site: Site) -> None:
    scene = site.scene("wrong-setting")
    assert "is as it was, byte for byte" in scene["says"]
    assert scene["before"]["settings"] == scene["after"]["settings"]
    ours, again = scene["after"]["runs"]
    assert "setting warehouse.region is missing" in ours["error"]
    assert "region=eu-9" in again["error"]  # the job did run with the change


def test_a_playbook_that_fails_at_its_second_step_is_undone_backwards(site: Site) -> None:
    scene = site.scene("playbook")
    assert "action 2, retry_with_exponential_backoff" in scene["says"]
    assert scene["before"]["file"] == scene["after"]["file"]
    assert {run["status"] for run in scene["after"]["loads"]} == {"failed"}
    assert scene["after"]["publications"] == []


def test_the_same_repair_again_is_stopped_by_the_governor(site: Site) -> None:
    again, first = site.scene("killed-again"), site.scene("killed-service")
    assert again["stopped_by"] == "repeated"
    assert "the same repair again" in again["says"]
    assert again["incident_id"] == first["incident_id"]
    assert again["before"]["pid"] == first["after"]["pid"]
    assert again["after"] == {"pid": None, "health": 0}


def test_in_shadow_nothing_is_done(site: Site) -> None:
    scene = site.scene("staging-job")
    assert "in shadow by you: first watch what it would do; live, it runs retry" in scene["says"]
    assert [run["status"] for run in scene["after"]["runs"]] == ["failed"]


def test_a_repair_is_evidence_for_the_next_failure_like_it(site: Site) -> None:
    scenes = {scene["scene"]: scene for scene in site.summary["scenes"]}
    assert scenes["seen-before"]["cites"] > 0.8
    assert scenes["seen-before"]["incident_id"] != scenes["flaky-job"]["incident_id"]


def test_it_leaves_nothing_running(site: Site) -> None:
    # The server, the job server, the shop that was killed or the one that was started instead.
    assert len(site.summary["pids"]) == 4
    assert [pid for pid in site.summary["pids"] if identify(pid)] == []
    assert site.left() == []


def test_what_it_prepared_is_there_for_the_service(site: Site) -> None:
    assert list((site.data / "models").glob("diagnosis-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_nothing_running(site: Site, number: signal.Signals) -> None:
    demo = site.start("--yes")
    assert demo.stdout is not None
    told = []
    for line in demo.stdout:
        told.append(line)
        if "a killed service: breaks" in line:  # so that the repair may be starting the shop anew
            break
    demo.send_signal(number)
    demo.communicate(timeout=60)
    assert demo.returncode == (-number if number is signal.SIGKILL else 130)
    if number is not signal.SIGKILL:
        assert site.left() == []
    # Killed, the demo cannot end its processes: they see that it is gone, and end themselves.
    until(lambda: not site.left())
    assert "preparing once" not in "".join(told)


def test_it_does_not_empty_a_folder_of_somebody_else(site: Site, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    demo = site.start("--folder", str(tmp_path))
    _, told = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "is no folder of a demo" in told
    assert (tmp_path / "precious").exists()


def test_with_a_slack_of_its_own_a_person_answers_there(site: Site) -> None:
    demo = site.start("--slack", "--json")
    assert demo.stderr is not None
    told = iter(demo.stderr.readline, "")
    try:
        where = next(
            found[0] for line in told if (found := re.findall(r"Its Slack is at (http://[\d.]+:\d+)", line))
        )
        with httpx.Client(base_url=where, timeout=20, trust_env=False) as browser:

            def approve() -> list[tuple[str, str]]:
                form = r'name="ts" value="([^"]+)"><input type=hidden name="verb" value="(approve)"'
                return re.findall(form, browser.get("/").text)

            until(lambda: bool(approve()), 60)
            ((ts, verb),) = approve()
            browser.post("/click", data={"as": "U0ADA", "ts": ts, "verb": verb})
            until(lambda: "run_deduplication_script ended verified" in browser.get("/").text, 60)
            assert "ada approved" in browser.get("/").text
        out, _ = demo.communicate(timeout=120)
    finally:
        demo.kill()
    assert demo.returncode == 0, out
    scenes = json.loads(out)["scenes"]
    assert [s["approved_by"] for s in scenes if s["scene"] == "repeated-rows"] == ["ada"]
