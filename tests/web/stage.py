"""A world with one of everything that a page can show, and a real server over it for a browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import uvicorn

from app.decision import store as decisions
from app.decision.decision import Allows, Effect, Verdict
from app.decision.mode import Mode, ModeSetting
from app.decision.plan import Step
from app.diagnosis.diagnosis import Evidence, EvidenceKind, Finding, Ranked
from app.foundation.ids import derived_id
from app.incidents.incident import State
from app.incidents.lifecycle import advance
from app.intake.event import Target
from app.knowledge import store as knowledge
from app.remediation import store
from app.remediation.outcome import Ended, Outcome
from app.remediation.store import Kind
from app.remediation.strategy import Receipt, Snapshot
from tests import situations
from tests.diagnosis import small
from tests.doubles import until
from tests.web.conftest import Browser, World, runbook_text

A_MOMENT = timedelta(milliseconds=7)
_TROUBLE = (
    ("network_timeout", "error", "connection to orders-db.internal:5432 timed out after 30 s"),
    ("gpu_out_of_memory", "critical", "CUDA out of memory. Tried to allocate 18.56 GiB on device 0"),
    ("permission_denied", "warning", "permission denied for bucket billing-archive/part-7"),
    ("quota_exceeded", "info", "429 Too Many Requests: quota of project search exceeded"),
    ("unknown_error", "error", "the exporter stopped, exit code 1"),
)
_STEPS = (
    Step(index=0, says="runs nightly-load again after 1 s", does={"wait": 1}),
    Step(index=1, says="runs nightly-load again after 2 s, when that failed", does={"wait": 2}),
)


def stage(world: World) -> dict[str, str]:
    """Puts it all up; the addresses of its pages, by what they show."""
    retriever, database = world.retriever, world.database
    world.brain, _ = small.make(None)
    (world.shelf / "load-times-out.md").write_text(runbook_text("load-times-out", "A load times out"))
    (world.shelf / "broken.md").write_text(runbook_text("other"))
    with database.writing() as session:
        for case in small.cases()[:40]:
            knowledge.add(session, case)
            retriever.add_case(case, retriever.embed(case.text))
    world.clock.advance(timedelta(hours=-4))
    for number in range(32):
        type_, severity, says = _TROUBLE[number % len(_TROUBLE)]
        world.clock.advance(timedelta(minutes=6))
        target = Target(
            system="airflow", kind="task", name=f"load_{number}", environment="production", owner="data"
        )
        made = world.incident(
            f"{says} (run {number})", severity=severity, target=target, fingerprint=f"made-{number}"
        )
        sure = 0.35 + number % 6 / 10
        ranked = (Ranked(type=type_, probability=sure), Ranked(type="quota_exceeded", probability=0.1))
        world.diagnose(made, type=type_, confidence=sure, ranked=ranked, excerpt=says)
    with database.writing() as session:
        setting = ModeSetting(
            strategy=situations.RETRY,
            environment="staging",
            mode=Mode.SHADOW,
            actor="ada",
            reason="trial",
            at=world.clock.now(),
        )
        decisions.set_mode(session, setting)
    shadowed = world.incident("the far side did not answer", fingerprint="shadowed")
    world.diagnose(shadowed)
    world.decide(shadowed, Effect.SHADOW, says="would run it; in shadow by ada")
    world.clock.advance(timedelta(minutes=21))
    verified = _repaired(world, "the warehouse timed out", Ended.VERIFIED, "run run-7 succeeded")
    _repaired(world, "the queue timed out", Ended.UNDONE, "the job failed again")
    waiting, _ = _waiting(world, "shop/checkout timed out")
    world.clock.advance(timedelta(minutes=9))
    _waiting(world, "nightly copy of clicks timed out")
    world.clock.advance(timedelta(minutes=4))
    return {
        "incidents": "/",
        "filtered": "/?type=network_timeout&environment=production&search=timed",
        "waiting": f"/incidents/{waiting}",
        "repaired": f"/incidents/{verified}",
        "approvals": "/approvals",
        "runbooks": "/runbooks",
        "runbook": "/runbooks/load-times-out",
        "knowledge": "/knowledge",
        "corrections": "/knowledge/corrections",
        "strategies": "/strategies",
        "savings": "/savings",
        "calibration": "/calibration",
        "shadow": "/shadow",
        "settings": "/settings",
    }


def _waiting(world: World, says: str) -> tuple[str, str]:
    made = world.incident(says, fingerprint=says, severity="critical")
    findings = (
        Finding(
            scorer="runbook_sections@1",
            scores={"network_timeout": 0.6},
            contributes=True,
            hint="a runbook points to it",
            evidence=(
                Evidence(
                    kind=EvidenceKind.RUNBOOK, ref="load-times-out#fix", quote="Look at it.", weight=0.7
                ),
            ),
        ),
        Finding(scorer="own_cases@1", scores={}, contributes=False, hint="no case of this site is near"),
    )
    ranked = (Ranked(type="network_timeout", probability=0.6), Ranked(type="quota_exceeded", probability=0.2))
    world.diagnose(made, confidence=0.6, findings=findings, ranked=ranked, runbook="load-times-out#fix")
    verdicts = (
        Verdict(gate="pause", allows=Allows.ALLOW, reason="pause.running", says="nobody paused"),
        Verdict(gate="bands", allows=Allows.ASK, reason="bands.likely", says="a confidence of 0.60"),
    )
    decision = world.decide(made, plan=situations.plan(steps=_STEPS), verdicts=verdicts)
    return made, derived_id("apr", decision.id)


def _repaired(world: World, message: str, ended: Ended, says: str) -> str:
    made = world.incident(message, fingerprint=message)
    world.diagnose(made)
    decision = world.decide(made, Effect.ACT, says="runs it without asking: no gate objects")
    repair = world.begin(decision, approved_by="ada")
    told = (
        (Kind.SNAPSHOT, Snapshot().model_dump_json()),
        (Kind.INTENT, situations.plan().steps[0].model_dump_json()),
        (Kind.RECEIPT, Receipt(step=0, says="began run run-7").model_dump_json()),
        (Kind.CHECK, f'{{"how":"{"verified" if ended is Ended.VERIFIED else "disproved"}","says":"{says}"}}'),
    )
    with world.database.writing() as session:
        for kind, body in told:
            world.clock.advance(timedelta(seconds=1))
            store.note(session, repair, kind, 0, world.clock.now(), body)
        store.end(
            session,
            Outcome(
                remediation_id=repair,
                incident_id=made,
                strategy=situations.RETRY,
                target=situations.TARGET.key,
                ended=ended,
                at=world.clock.now(),
                says=says,
            ),
        )
        if ended is Ended.VERIFIED:
            at = world.clock.now()
            advance(session, made, State.RESOLVED, actor=f"strategy:{situations.RETRY}", reason=says, at=at)
    return made


@contextmanager
def serving(world: World) -> Iterator[str]:
    """The address of a server over the world."""
    config = uvicorn.Config(world.app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    world.app.state.live.stopping = lambda: server.should_exit
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)


@contextmanager
def following(address: str, browser: Browser, page: str, of: str = "") -> Iterator[list[str]]:
    """The lines of a stream as they come; "end" when it ended."""
    lines: list[str] = []
    cookie = f"mendline_session={browser.client.cookies['mendline_session']}"
    with (
        httpx.Client(base_url=address, headers={"cookie": cookie}, timeout=20) as client,
        client.stream("GET", "/live", params={"page": page, "mark": of}) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")

        def read() -> None:
            lines.extend(answer.iter_lines())
            lines.append("end")

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield lines
        until(lambda: "end" in lines, 10)
        reader.join()


def made(folder: Path) -> World:
    """A world in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return World(folder)
