"""The demo's stage: everything is set up, plays side by side, is told, and ends."""

import shlex
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

from app.commands.playground import STAGING, Playground, until
from app.commands.playground_folder import held, prepare, share
from app.commands.playground_scenes import SCENES
from app.commands.playground_server import Server
from app.commands.playground_slack import Workspace
from app.commands.playground_story import Row, see
from app.commands.playground_view import View
from app.foundation.errors import MendlineError
from app.settings import Settings

_TROUBLE = (MendlineError, httpx.HTTPError, OSError, RuntimeError, sqlite3.Error)  # of the playground's own
_LONGEST = 120.0  # seconds from an event to its outcome, without a person's


def perform(
    place: Path,
    settings: Settings,
    view: View,
    *,
    asks: bool,
    keep: bool,
    told: Callable[[dict[str, Any]], None] | None,
    slack: Workspace | None = None,
) -> bool:
    """The whole demo in `place`; False when a scene did not end as it should. Leaves nothing running.

    `asks`: a person answers, at the terminal or, where there is one, in `slack`; else the demo does. `told`
    gets the summary, None prints it for people.
    """
    with held(place), ExitStack() as stack:
        stack.callback(view.rest)
        quick = prepare(place, settings)
        world, server = Playground(place), Server(place, slack.settings if slack else {})
        if slack is not None:
            (place / "people.yaml").write_text(yaml.safe_dump(slack.people(), sort_keys=False))
            stack.enter_context(slack.running())
        # Mendline first, for it may be about to start the shop again.
        stack.callback(world.close)
        stack.callback(server.close)
        stack.callback(_no_interrupts)
        _start(world, server, view, quick)
        if slack is not None:
            slack.clicks_to = f"{server.address}/api/v1/slack/events"
            view.say(
                f"Its Slack is at {slack.url}: open it in a browser, and answer there when it asks", "bold"
            )
        share(place / "models", settings.data_dir / "models")
        stage = Stage(view, world, server, asks=asks, elsewhere=slack is not None)
        stage.play()
        view.rest(keep=True)
        summary = stage.summary(place)
        if told:
            told(summary)
        else:
            stage.tell(place, running=keep)
        if keep:
            with suppress(KeyboardInterrupt):
                stage.wait()
    return bool(summary["ok"])


def _no_interrupts() -> None:
    """From here on everything is being ended, and a second Ctrl-C must not leave half of it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _start(world: Playground, server: Server, view: View, quick: bool) -> None:
    view.say("Ten things break for real, and a Mendline of its own looks after them.")
    view.say(f"All of it lies in {world.folder.parent}", "dim")
    once = "" if quick else "preparing once, which takes a few minutes: "
    with view.doing() as says:
        says("starting the playground")
        world.open()
        says("starting Mendline")
        server.start()
        server.wait_until_ready(lambda doing: says(f"{once}{doing}"))
        server.shadow(STAGING, "first watch what it would do")


class Stage:
    """Plays the scenes side by side."""

    def __init__(
        self, view: View, world: Playground, server: Server, *, asks: bool, elsewhere: bool = False
    ) -> None:
        """`asks`: a person answers, at the terminal or, with `elsewhere`, in Slack; else the demo does."""
        self._view = view
        self._rows = view.rows = [Row(scene) for scene in SCENES]
        self._world = world
        self._server = server
        self._asks = asks
        self._elsewhere = elsewhere
        self._began = time.monotonic()
        self._pids = {server.pid, *world.pids}

    def play(self) -> None:
        """From the first failure to the last outcome."""
        while any(not row.over for row in self._rows):
            for row in self._rows:
                if not row.over:
                    self._go_on(row)
                    if row.over:
                        self._end(row)
                self._view.show()
            waiting = [row for row in self._rows if row.seen.waits and not row.over]
            moving = [row for row in self._rows if not row.over and row not in waiting]
            # A person is asked when there is nothing else to watch.
            if self._asks and self._elsewhere:
                for row in waiting:
                    row.posted = time.monotonic()  # a person may take their time
            elif waiting and not (self._asks and moving):
                self._answer(waiting[0])
            time.sleep(0.15)

    def _end(self, row: Row) -> None:
        """Looks at the far side now, for another scene may change it."""
        self._pids |= set(self._world.pids)
        try:
            row.after = row.scene.look(self._world)
        except _TROUBLE as error:
            row.wrong = row.wrong or f"{type(error).__name__}: {error}"
        row.wrong = row.wrong or row.judge()

    def _go_on(self, row: Row) -> None:
        first = next((other for other in self._rows if other.scene.id == row.scene.after), None)
        if row.state == "posted":
            trail = self._server.trail(row.incident_id)
            row.seen = see(trail, first.seen.case_id if first else "")
            if not row.over and not row.seen.waits and time.monotonic() - row.posted > _LONGEST:
                row.wrong = f"nothing came of it in {_LONGEST:g} s: {row.seen.doing}"
        elif first is None or first.seen.ended == first.scene.ended:
            try:
                self._break(row, first)
            except _TROUBLE as error:
                row.wrong = f"{type(error).__name__}: {error}"
        elif first.over:
            row.wrong = f"{first.scene.title} did not end well, so there was nothing to learn"

    def _break(self, row: Row, first: Row | None) -> None:
        if first is not None:
            known = first.seen.case_id
            until(lambda: self._server.knows_of(known, first.broke), "the repair was not learned")
        row.state = "breaks"
        self._view.show()
        row.before = row.scene.look(self._world)
        event = row.scene.breaks(self._world)
        row.broke, row.posted = event["message"], time.monotonic()
        row.incident_id = self._server.post(event)
        row.state = "posted"

    def _answer(self, row: Row) -> None:
        approval = row.seen.waits
        assert approval is not None
        decisions = self._server.trail(row.incident_id).decisions
        plan = next(decision.plan for decision in decisions if decision.id == approval.decision_id)
        assert plan is not None
        self._view.rest(keep=self._asks)
        self._view.plan(plan, row.scene.title)
        yes = True
        if self._asks:
            try:
                said = self._view.console.input("press Enter to approve, d and Enter to deny: ")
            except EOFError:
                said = "d"
            yes = not said.lower().startswith("d")
        else:
            self._view.say("approved by the demo on your behalf, with the key of demo-approver")
        self._server.answer(approval.id, plan.hash, yes=yes)
        row.posted = time.monotonic()

    def summary(self, place: Path) -> dict[str, Any]:
        """What came of it, as data."""
        ends = [row.seen.ended for row in self._rows]
        shadows = sum(row.seen.effect == "shadow" for row in self._rows)
        stopped = sum(bool(row.seen.stopped_by) for row in self._rows)
        return {
            "ok": not any(row.wrong for row in self._rows),
            "seconds": round(time.monotonic() - self._began, 1),
            "events": sum(bool(row.incident_id) for row in self._rows),
            "repaired": ends.count("verified"),
            "undone": ends.count("undone"),
            "stopped": stopped,
            "shadow": shadows,
            "escalated": ends.count("handed_over") - stopped - shadows,
            "approved": sum(bool(row.seen.approved_by) for row in self._rows),
            "denied": ends.count("denied"),
            "scenes": [_scene(row) for row in self._rows],
            "data_dir": str(place),
            "address": self._server.address,
            "pids": sorted(self._pids),
        }

    def tell(self, place: Path, *, running: bool) -> None:
        """The same for people, and where to look."""
        say, all_ = self._view.say, self.summary(place)
        denied = f", {all_['denied']} denied" if all_["denied"] else ""
        counts = f"{all_['repaired']} repaired and verified ({all_['approved']} approved{denied})"
        held = f"{all_['stopped']} stopped by a gate, {all_['shadow']} only recorded in shadow"
        left = f"{all_['undone']} undone, {held}, {all_['escalated']} left to a person"
        say(f"\n{all_['events']} events: {counts},\n{left}", "bold")
        say(f"{all_['seconds']:g} s from the first failure to the last outcome", "dim")
        say("\nWhat the far sides say", "bold")
        for row in self._rows:
            if row.proof:
                say(f"  {row.proof}")
        for row in self._rows:
            if row.wrong:
                say(f"\n{row.scene.title} did not end as it should: {row.wrong}", "red")
        here = f"MENDLINE_DATA_DIR={shlex.quote(str(place))} {_program()}"
        asked = next(row for row in self._rows if row.scene.effect == "ask")
        say("\nLook closer", "bold")
        say(f"  {here} incidents")
        say(f"  {here} explain {asked.incident_id}")
        if not running:
            say(f"  {here} serve")
        where = self._server.address if running else "the address that `serve` prints"
        say(f"  sign in at {where} with the key {self._server.keys.you}")

    def wait(self) -> None:
        """Until Ctrl-C, or until Mendline ends by itself."""
        self._view.say("\nIt goes on running until Ctrl-C.")
        while True:
            self._server.check()
            time.sleep(0.5)


def _scene(row: Row) -> dict[str, Any]:
    seen = row.seen
    return {
        "scene": row.scene.id,
        "broke": row.broke,
        "incident_id": row.incident_id,
        "type": seen.type,
        "confidence": seen.confidence,
        "cites": seen.cites,
        "effect": seen.effect,
        "strategy": seen.strategy,
        "stopped_by": seen.stopped_by,
        "approved_by": seen.approved_by,
        "ended": seen.ended,
        "says": seen.says,
        "seconds": round(seen.seconds, 2),
        "waited": round(seen.waited, 2),
        "before": row.before,
        "after": row.after,
        "proof": row.proof,
        "wrong": row.wrong,
    }


def _program() -> str:
    """How the reader calls us: by name when that finds this very program."""
    given = sys.argv[0]
    if not given.endswith("mendline") or shutil.which("mendline") == given:
        return "mendline"
    return shlex.quote(given)
