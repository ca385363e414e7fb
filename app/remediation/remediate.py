"""Remediate: snapshot, act, verify, undo when it did not help, in this order and no other.

The order lives in `remediate`, an async function without clock, randomness, I/O or database:
everything that touches the world is a step of `Acts`, which the durable engine records.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from app.decision.plan import Step
from app.foundation.record import Record
from app.knowledge.playbook import OnError, Result
from app.remediation import store
from app.remediation.acts import MOST_RETRIES, Acted, Acts, Looked, Point
from app.remediation.outcome import ActionEnd, Ended, Outcome
from app.remediation.parts import Part, Turn, turns

__all__ = ["Acts", "Durable", "Point", "remediate", "take_back"]

R = TypeVar("R")
_POLL = 0.5  # seconds between two looks at a signal, growing
_POLL_MOST = 10.0


class Durable(Protocol):
    """What the durable engine gives: steps that are recorded, and sleeps that survive."""

    async def step(self, name: str, call: Callable[..., R], *args: Any) -> R:
        """Runs `call` once it is this step's turn; after a crash a recorded result is returned."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits; after a crash only for the rest."""
        ...


class Ran(Record):
    """How one part ended: verified, failed, handed over, or a person is needed. `began` when its snapshot was taken."""

    how: str
    says: str
    began: bool = True


class _TooLong(Exception):
    """A part waited for as long as it may."""


class _OfPart:
    """The engine for one part: its name stands before the names of its steps, and its sleeps are counted.

    Time is counted from the sleeps alone, so that a replay makes the same turns.
    """

    def __init__(self, durable: Durable, part: Part, timeout: float | None) -> None:
        self._durable = durable
        self._name = part.name
        self._left = math.inf if timeout is None else timeout

    async def step(self, name: str, call: Callable[..., R], *args: Any) -> R:
        return await self._durable.step(f"{self._name} {name}".strip(), call, *args)

    async def sleep(self, seconds: float) -> None:
        """Raises _TooLong once all of the part's time was waited."""
        await self._durable.sleep(min(seconds, self._left))
        self._left -= seconds
        if self._left < 0:
            raise _TooLong


async def remediate(durable: Durable, acts: Acts, remediation: store.Remediation) -> Outcome:
    """Runs a begun repair to its end. `remediation` is as stored, so a replay sees the same plan.

    Action by action, each in a part of its own: snapshot, act, verify. One that fails is undone, tried
    again as often as it may be, and then its `on_error` says what follows. Undoing goes backwards and
    stops at what cannot be taken back, because what lies under it may depend on that.
    """
    plan, rid = remediation.plan, remediation.id
    results: dict[int, Result] = {}
    told: dict[int, ActionEnd] = {}
    standing: list[tuple[int, Part]] = []

    def tell(turn: Turn, result: str, says: str, undone: str = "") -> None:
        of = turn.tries[0].plan
        told[turn.number] = ActionEnd(
            number=turn.number,
            strategy=of.strategy,
            target=of.target,
            result=result,
            says=says,
            undone=undone,
        )

    async def finish(ended: Ended, says: str, undone: str = "") -> Outcome:
        if not plan.actions:
            return await durable.step("end", acts.end, rid, ended, says, undone)
        return await durable.step("end", acts.end, rid, ended, says, undone, tuple(told.values()))

    for turn in turns(plan):
        tell(turn, "not reached", "")
    said = ""
    for turn in turns(plan):
        if why := turn.asked.when.unmet_by(results):
            results[turn.number] = Result.SKIPPED
            tell(turn, Result.SKIPPED, why)
            continue
        part, ran, undone = await _take_turn(durable, acts, rid, turn)
        says = f"action {turn.number}, {part.plan.strategy}: {ran.says}" if plan.actions else ran.says
        if ran.how == "verified":
            results[turn.number] = Result.VERIFIED
            tell(turn, Result.VERIFIED, ran.says)
            standing.append((turn.number, part))
            said = says
            continue
        if ran.how == Ended.HANDED_OVER:
            # Its work stands and waits for a person: so does all that would have followed.
            tell(turn, ran.how, ran.says)
            return await finish(Ended.HANDED_OVER, says)
        results[turn.number] = Result.FAILED
        tell(turn, Result.FAILED, ran.says, undone.says if undone else "")
        if undone and undone.how != "done":
            return await finish(Ended.STUCK, says, undone.says)
        if turn.asked.on_error is OnError.CONTINUE:
            said = says
            continue
        reports = [undone.says] if undone else []
        if turn.asked.on_error in (OnError.STOP, OnError.ASK) and standing:
            kept = ", ".join(str(number) for number, _ in standing)
            return await finish(
                Ended.HANDED_OVER,
                f"{says}. What was done by action {kept} stands{_CAN[turn.asked.on_error]}",
                "; ".join(reports),
            )
        for number, done in reversed(standing):
            undone = await _OfPart(durable, done, None).step("undo", acts.undo, rid, done.nth)
            told[number] = told[number].model_copy(update={"undone": undone.says})
            reports.append(undone.says)
            if undone.how != "done":
                return await finish(Ended.STUCK, says, "; ".join(reports))
        helpless = ran.how == "human" or not reports
        return await finish(Ended.HANDED_OVER if helpless else Ended.UNDONE, says, "; ".join(reports))
    if Result.VERIFIED in results.values():
        return await finish(Ended.VERIFIED, said)
    reports = [one.undone for one in told.values() if one.undone]
    return await finish(
        Ended.UNDONE if reports else Ended.HANDED_OVER,
        said or "no action's condition was met",
        "; ".join(reports),
    )


_CAN = {OnError.STOP: "", OnError.ASK: "; a person decides whether to undo it"}


async def take_back(durable: Durable, acts: Acts, remediation_id: str) -> Acted:
    """Undoes an ended repair, backwards; stops at what cannot be taken back."""
    reports: list[str] = []
    for nth in reversed(await durable.step("standing", acts.standing, remediation_id)):
        undone = await durable.step(f"undo {nth}", acts.undo, remediation_id, nth)
        reports.append(undone.says)
        if undone.how != "done":
            return Acted(how="failed", says="; ".join(reports))
    return Acted(how="done", says="; ".join(reports))


async def _take_turn(
    durable: Durable, acts: Acts, remediation_id: str, turn: Turn
) -> tuple[Part, Ran, Acted | None]:
    """The last try of an action, how it ended, and how it was taken back; None when nothing had been done.

    It is not tried again where a person is needed, or where the former try is still there.
    """
    for part in turn.tries:
        if part is not turn.tries[0] and turn.asked.retry.wait:
            await durable.sleep(turn.asked.retry.wait)
        of_part = _OfPart(durable, part, turn.asked.timeout)
        try:
            ran = await _run(of_part, acts, remediation_id, part)
        except _TooLong:
            ran = Ran(how="failed", says=f"it took longer than {turn.asked.timeout:g} s")
        undone: Acted | None = None
        if ran.how in ("verified", Ended.HANDED_OVER):
            break
        if ran.began and await of_part.step("touched", acts.touched, remediation_id, part.nth):
            undone = await of_part.step("undo", acts.undo, remediation_id, part.nth)
        if ran.how == "human" or (undone and undone.how != "done"):
            break
    return part, ran, undone


async def _run(durable: Durable, acts: Acts, remediation_id: str, part: Part) -> Ran:
    """Snapshot, act, verify."""
    plan = part.plan
    kept = await durable.step("snapshot", acts.snapshot, remediation_id, part.nth)
    if kept.how != "done":
        return Ran(how="human", says=kept.says, began=False)
    looked = Looked(how="", says="")
    for step in plan.steps:
        if step.after:
            await durable.sleep(step.after)
        acted = await _act(durable, acts, remediation_id, part, step)
        if acted.how != "done":
            return Ran(how=acted.how, says=acted.says)
        last = plan.order == "ladder" or step.index == plan.steps[-1].index
        if not last and not step.within:
            continue
        looked = await _settled(
            durable, acts, remediation_id, part, step, plan.within if last else step.within
        )
        if (last and looked.how == "verified") or looked.how == Ended.HANDED_OVER:
            return Ran(how=looked.how, says=looked.says)
        if not last and looked.how != "verified":
            break
    return Ran(how="failed", says=looked.says)


async def _act(durable: Durable, acts: Acts, remediation_id: str, part: Part, step: Step) -> Acted:
    for attempt in range(1, MOST_RETRIES + 1):
        acted = await durable.step(
            f"act {step.index} {attempt}", acts.act, remediation_id, step.index, attempt, part.nth
        )
        if acted.how != "later":
            return acted
        await durable.sleep(acted.after)
    return acted


async def _settled(
    durable: Durable, acts: Acts, remediation_id: str, part: Part, step: Step, within: float
) -> Looked:
    """Waits until the signal recovers, then until it has held for the plan's `settle` seconds.

    The waiting time is counted from the sleeps alone, so a replay makes the same turns.
    """
    settle = part.plan.settle
    waited, pause, nth = 0.0, _POLL, 0

    async def look() -> Looked:
        return await durable.step(
            f"check {step.index} {nth}", acts.check, remediation_id, step.index, nth, part.nth
        )

    while True:
        looked = await look()
        nth += 1
        if looked.how == "verified":
            if settle:
                await durable.sleep(settle)
                held = await look()
                if held.how != "verified":
                    return Looked(how="disproved", says=f"it did not hold for {settle:g} s: {held.says}")
            return looked
        if looked.how in ("disproved", Ended.HANDED_OVER):
            return looked
        if waited >= within:
            return Looked(how="disproved", says=f"no sign of recovery within {within:g} s: {looked.says}")
        await durable.sleep(pause)
        waited += pause
        pause = min(pause * 1.5, _POLL_MOST)
