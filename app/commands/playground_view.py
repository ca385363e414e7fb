"""How the demo is told: a live table at a terminal, plain lines elsewhere, and a summary."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.commands.playground_story import Row, Seen
from app.decision.plan import Plan

_DOTS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ENDS = {"verified": "green", "undone": "yellow", "handed_over": "yellow", "denied": "yellow"}
_EFFECTS = {"act": "green", "ask": "yellow", "escalate": "yellow", "shadow": "yellow", "ignore": "dim"}
_SAID = {
    "verified": "repaired, verified",
    "undone": "did not help, undone, left to a person",
    "handed_over": "left to a person",
    "denied": "denied",
}


class View:
    """Shows the rows as they change."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rows: list[Row] = []
        self._told: set[str] = set()
        self._began = 0.0
        self._live: Live | None = None

    def show(self) -> None:
        """Begins or goes on showing; what changed since is printed where nothing can be live."""
        self._began = self._began or time.monotonic()
        if not self.console.is_terminal:
            for line in [line for row in self.rows for line in _lines(row) if line not in self._told]:
                self._told.add(line)
                self.say(f"{time.monotonic() - self._began:6.1f} s  {line}")
            return
        if self._live is None:
            self._live = Live(
                console=self.console, get_renderable=self._table, refresh_per_second=8, transient=True
            )
            self._live.start()

    @contextmanager
    def doing(self) -> Iterator[Callable[[str], None]]:
        """Gives what to call with what is being done."""
        told = ""

        def says(doing: str) -> None:
            nonlocal told
            if self.console.is_terminal:
                status.update(Text(doing))
            elif (kind := doing.partition(",")[0]) != told:
                told = kind
                self.say(doing)

        with self.console.status("") as status:
            yield says

    def rest(self, *, keep: bool = False) -> None:
        """Ends the live part; with `keep` the table as it is now stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if keep and self.console.is_terminal:
            self.console.print(self._table(whole=True))

    def say(self, text: str, style: str = "") -> None:
        """One line, whole, and nothing in it is markup."""
        self.console.print(Text(text, style), soft_wrap=True)

    def plan(self, plan: Plan, title: str) -> None:
        """What a person is asked about."""
        told = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        for name, says in (("plan", plan.summary), ("verified", plan.verify), ("undo", plan.undo or "none")):
            told.add_row(Text(name, "dim"), Text(says))
        told.add_row(Text("risk", "dim"), Text(f"{plan.risk}, on {plan.target}, plan {plan.hash}"))
        self.console.print(Group(Text(f"\n{title}: a person is asked\n", "bold yellow"), told, Text("")))

    def _table(self, *, whole: bool = False) -> RenderableType:
        """`whole` may be higher than the terminal; else what broke gives way on a small one."""
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        roomy = self.console.height > 4 * len(self.rows)
        tight = not whole and self.console.height <= 3 * len(self.rows) + 1
        for number, row in enumerate(self.rows):
            if roomy or not number:
                table.add_row()
            story = _story(row)
            if tight:
                lines = story.split("\n", allow_blank=True)
                story = Text("\n").join(lines[1:3] if row.broke else lines[:2])
            table.add_row(Text(row.scene.title, "dim" if row.state == "waits" else "bold"), story)
        return table


def _story(row: Row) -> Text:
    """Three lines: what broke, diagnosis and decision, what is done or came of it."""
    seen = row.seen
    spin = _DOTS[int(time.monotonic() * 12) % len(_DOTS)]
    if not row.broke:
        doing = row.scene.waits_for if row.state == "waits" else f"{spin} {row.state}"
        return Text(f"{row.wrong or doing}\n\n", "red" if row.wrong else "dim")
    told = Text(_cut(row.broke, 300) + "\n", "dim")
    if seen.type:
        told.append(seen.type, "not dim bold")
        colour = "green" if seen.confidence >= 0.75 else "yellow"
        told.append(f" {_sure(seen)}", f"not dim {colour}")
        if seen.cites:
            told.append(f", {seen.cites:.2f} like the first", "not dim cyan")
        told.append(" → ", "dim")
        told.append(_effect(seen), f"not dim {_EFFECTS[seen.effect]}")
        told.append(f": {_words(seen.strategy)}\n", "not dim")
    else:
        told.append(f"{spin} {seen.doing}\n", "not dim")
    if seen.ended:
        colour = "red" if row.wrong else _ENDS.get(seen.ended, "red")
        mark = "✘" if row.wrong else "✔" if seen.ended == "verified" else "→"
        told.append(f"{mark} {_end(seen)}", f"not dim {colour}")
        told.append(f"  {_cut(row.wrong or seen.says, 300)}", "dim")
    elif seen.type:
        told.append("? " if seen.waits else f"{spin} ", "not dim yellow" if seen.waits else "not dim")
        told.append(_cut(seen.doing, 300), "not dim")
    return told


def _lines(row: Row) -> list[str]:
    """The same in lines of plain text: what broke, diagnosis and decision, what came of it."""
    seen, told = row.seen, []
    if row.broke:
        told.append(f"breaks: {_cut(row.broke, 200)}")
    if seen.type:
        known = f", {seen.cites:.2f} like the first" if seen.cites else ""
        decided = f"{_effect(seen)}: {_words(seen.strategy)}; {seen.plan}"
        told.append(f"{seen.type}, {_sure(seen)}{known}; {decided}")
    if seen.ended:
        told.append(f"{_end(seen)}: {seen.says}")
    elif row.wrong:
        told.append(row.wrong)
    return [f"{row.scene.title}: {line}" for line in told]


def _sure(seen: Seen) -> str:
    # Rounded up it would claim a certainty that nobody has.
    return ">99% sure" if seen.confidence > 0.99 else f"{seen.confidence:.0%} sure"


def _end(seen: Seen) -> str:
    person = f", {seen.waited:.1f} of them waiting for a person" if seen.waited > 1 else ""
    return f"{_SAID.get(seen.ended, seen.ended)} in {seen.seconds:.1f} s{person}"


def _effect(seen: Seen) -> str:
    if seen.effect == "ask" and seen.approved_by:
        return f"approved by {seen.approved_by}"
    if seen.stopped_by:
        return f"stopped by the gate {seen.stopped_by}"
    told = {"act": "acts", "ask": "asks a person", "escalate": "tells a person", "shadow": "only records"}
    return told.get(seen.effect, seen.effect)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
