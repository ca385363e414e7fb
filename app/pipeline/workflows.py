"""The bodies of the workflows: the steps in order, without a clock, randomness, I/O or database of their own."""

from app.decision.decision import Effect
from app.pipeline.pipeline import BUSY, LEFT_TO_PEOPLE, Next, Pipeline
from app.remediation.approve import Answer
from app.remediation.outcome import Outcome
from app.remediation.remediate import Durable, remediate, take_back

# Seconds between two looks at a busy target, for a day in all.
_WAITS = (1.0, 2.0, 4.0, *(8.0 for _ in range(75)), *(60.0 for _ in range(24 * 60)))
_LONGEST = 30  # seconds between two looks of an undoing whether its targets are free, growing


async def heal(
    durable: Durable, pipeline: Pipeline, incident_id: str, episode: int, origin: str = "opened"
) -> Next:
    """One episode of an incident, to a decision. A repair that it begins is started by the caller."""
    diagnosis_id = await durable.step("diagnose", pipeline.diagnose, incident_id, episode, origin)
    return await _decide(durable, pipeline, diagnosis_id, origin, "")


async def _decide(
    durable: Durable, pipeline: Pipeline, diagnosis_id: str, origin: str, approval_id: str
) -> Next:
    decided = await durable.step("decide", pipeline.decide, diagnosis_id, origin, approval_id)
    if decided.effect in LEFT_TO_PEOPLE:
        await durable.step("hand over", pipeline.hand_over, decided.remediation_id)
    return decided


async def answered(durable: Durable, pipeline: Pipeline, approval_id: str) -> Next:
    """An approval that has its answer, to what follows from it."""
    read = await durable.step("read answer", pipeline.read_answer, approval_id)
    if read["answer"] == Answer.APPROVED or read.get("other"):
        return await _decide(durable, pipeline, read["diagnosis_id"], approval_id, approval_id)
    if read["again"]:
        return await heal(durable, pipeline, read["incident_id"], int(read["episode"]), approval_id)
    return Next(effect=Effect.IGNORE)


async def repair(durable: Durable, pipeline: Pipeline, remediation_id: str) -> Outcome:
    """A begun remediation, to its outcome."""
    why = await durable.step("still", pipeline.still, remediation_id)
    for wait in _WAITS:
        if why != BUSY:
            break
        await durable.sleep(wait)
        why = await durable.step("still", pipeline.still, remediation_id)
    if why:
        outcome = await durable.step("stop", pipeline.stop, remediation_id, why)
    else:
        remediation = await durable.step("load", pipeline.acts.load, remediation_id)
        outcome = await remediate(durable, pipeline.acts, remediation)
    await durable.step("conclude", pipeline.conclude, outcome)
    return outcome


async def undone(durable: Durable, pipeline: Pipeline, remediation_id: str) -> None:
    """An ended remediation that a person wants undone, to the end of that."""
    looks = 1
    while not await durable.step(f"hold {looks}", pipeline.hold, f"undo:{remediation_id}", remediation_id):
        await durable.sleep(min(looks, _LONGEST))
        looks += 1
    taken_back = await take_back(durable, pipeline.acts, remediation_id)
    await durable.step("undone", pipeline.undone, remediation_id, taken_back)
