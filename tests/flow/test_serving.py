"""Starting, stopping and what a start finds."""

import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.scenes import SCENES, Make, Scene
from tests.server import Mendline, outcomes

pytestmark = pytest.mark.server


def test_ctrl_c_stops_it_in_order(tmp_path: Path, lone: Mendline) -> None:
    """An interpreter of its own, so that it also shows whether anything keeps the process alive."""
    site = Mendline(tmp_path / "first", lone.knowledge)
    try:
        site.start(fresh=True)
        incident_id = site.api.report("something odd")
        began = time.monotonic()
        assert site.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 10
        assert "Traceback" not in site.log
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{site.url}/healthz", trust_env=False)
        key = site.key
        site.start()
        assert site.key == key  # the first key is made once
        assert site.api.trail(incident_id)["incident"]["id"] == incident_id
    finally:
        site.end()


def test_a_supervisor_stops_it_in_order(lone: Mendline) -> None:
    lone.start()
    lone.api.report("something odd")
    assert lone.stop(signal.SIGTERM) == 0
    assert "Traceback" not in lone.log


def test_a_second_one_on_the_same_folder_is_refused(site: Mendline) -> None:
    """Both would resume the same repairs."""
    done = site.cli("serve", "--port", "0")
    assert done.code == 1
    assert "mendline: another process works as 'local' on the same database" in done.err, done.err
    assert site.api.get("/incidents")


def test_the_probes_need_no_key(site: Mendline) -> None:
    with httpx.Client(base_url=site.url, trust_env=False) as anybody:
        assert anybody.get("/healthz").json()["status"] == "ok"
        ready = anybody.get("/readyz").json()
        assert ready == {"ready": True, "database": "ok", "diagnosis": "ok", "targets": "ok", "people": "ok"}
        assert "mendline_" in anybody.get("/metrics").text


def test_an_event_taken_just_before_a_crash_is_diagnosed_after_it(lone: Mendline) -> None:
    lone.start()
    incident_id = lone.api.report("something odd")
    lone.kill()
    lone.start()
    trail = lone.api.ended(incident_id)
    assert len(trail["diagnoses"]) == len(trail["repairs"]) == 1


@pytest.mark.parametrize(
    "kind", [scene for scene in SCENES if scene.strategy.startswith("run_")], ids=lambda kind: kind.strategy
)
def test_what_did_not_help_is_taken_back(lone: Mendline, scene: Make, name: str, kind: type[Scene]) -> None:
    """The server dies right after it acted. Until it is back the data is broken again."""
    broken = scene(kind)
    target = broken.register(lone, name)
    lone.start(pipeline__crash_at=f"receipt_stored:{kind.strategy}")
    incident_id = lone.api.report(broken.message, target)
    assert lone.await_end() == -signal.SIGKILL
    broken.disprove(lone, name)
    lone.start()
    trail = lone.api.ended(incident_id)
    (outcome,) = outcomes(trail)
    assert outcome["ended"] == "undone"
    assert outcome["undone"]
    assert trail["incident"]["state"] == "firing"
    broken.as_before()
