"""Choose: from types with probabilities to a registered strategy with parameters.

The best expected result: the probability that one of the types a strategy serves is right,
times the posterior of its success. The success is a Beta distribution that starts at the
taxonomy's prior and is moved by verified outcomes. A runbook that is cited and names the
strategy supplies parameters and counts as a recommendation. One with a playbook is a strategy of its own,
`playbook:ID` of the runbook, with a record of its own; it starts from the lowest prior among its actions.
"""

from collections.abc import Callable, Mapping, Sequence

from app.diagnosis.diagnosis import UNKNOWN, Choice
from app.foundation.record import Record
from app.knowledge.playbook import ESCALATE as ESCALATE
from app.knowledge.playbook import PLAYBOOK, Action
from app.knowledge.retrieve import Cited
from app.knowledge.taxonomy import Taxonomy

_RECOMMENDED = 1.15
_LEAST = 0.05
_PEOPLE = {"auto": 0, "one_person": 1, "two_people": 2}


class TrackRecord(Record):
    """Verified outcomes of one strategy: how many helped, of how many."""

    successes: int = 0
    trials: int = 0


Records = Callable[[], Mapping[str, TrackRecord]]


def posterior(taxonomy: Taxonomy, prior: float, record: TrackRecord) -> float:
    """Mean of the Beta posterior: (prior x weight + successes) / (weight + trials)."""
    weight = taxonomy.prior_weight
    return (prior * weight + record.successes) / (weight + record.trials)


def choose(
    taxonomy: Taxonomy,
    registered: Sequence[str],
    type_: str,
    probabilities: Mapping[str, float],
    cited: Sequence[Cited],
    records: Mapping[str, TrackRecord],
) -> tuple[Choice, ...]:
    """The strategies worth planning, best first, always ending with the escalation."""
    last = Choice(
        strategy=ESCALATE,
        serves=type_,
        expected=0,
        success=1,
        because="when nothing better can be done, a person is told",
    )
    if type_ == UNKNOWN:
        return (last.model_copy(update={"because": "an unknown kind of error is never guessed at"}),)
    found: list[Choice] = []

    def offer(
        name: str, served: float, prior: float, runbook: Cited | None, actions: tuple[Action, ...]
    ) -> None:
        if served < _LEAST:
            return
        record = records.get(name, TrackRecord())
        success = posterior(taxonomy, prior, record)
        because = f"P(type it serves) {served:.2f} x P(success) {success:.2f}"
        if record.trials:
            because += f" ({record.successes} of {record.trials} here)"
        if runbook:
            because += f", recommended by {runbook.ref}"
        found.append(
            Choice(
                strategy=name,
                params=dict(runbook.runbook.params) if runbook else {},
                serves=type_,
                expected=round(min(1.0, served * success * (_RECOMMENDED if runbook else 1.0)), 6),
                success=round(success, 6),
                successes=record.successes,
                trials=record.trials,
                because=because,
                runbook=runbook.ref if runbook else "",
                people=_PEOPLE[runbook.runbook.approval] if runbook else 0,
                actions=actions,
            )
        )

    fitting = [c for c in cited if type_ in c.runbook.types]
    for name in registered:
        entry = taxonomy.strategies.get(name)
        # A strategy that does not serve the diagnosed type itself is not offered for it.
        if entry is None or name == ESCALATE or type_ not in entry.serves:
            continue
        served = sum(probabilities.get(serves, 0.0) for serves in entry.serves)
        offer(name, served, entry.prior, next((c for c in fitting if c.runbook.strategy == name), None), ())
    for c in fitting:
        actions = c.runbook.actions
        if actions:
            served = sum(probabilities.get(serves, 0.0) for serves in c.runbook.types)
            known = [taxonomy.strategies.get(action.strategy) for action in actions]
            prior = min((entry.prior for entry in known if entry), default=0.5)
            offer(f"{PLAYBOOK}:{c.runbook.id}", served, prior, c, actions)
    return (*sorted(found, key=lambda choice: (-choice.expected, choice.strategy)), last)
