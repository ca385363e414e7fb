"""Choose: from types with probabilities to a registered strategy with parameters.

The best expected result: the probability that one of the types a strategy serves is right,
times the posterior of its success. The success is a Beta distribution that starts at the
taxonomy's prior and is moved by verified outcomes. A runbook that is cited and names the
strategy supplies parameters and counts as a recommendation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.diagnosis.diagnosis import UNKNOWN, Choice
from app.foundation.record import Record
from app.knowledge.retrieve import Cited
from app.knowledge.taxonomy import Taxonomy

ESCALATE = "escalate_to_human"
_RECOMMENDED = 1.15
_LEAST = 0.05


class TrackRecord(Record):
    """Verified outcomes of one strategy: how many helped, of how many."""

    successes: int = 0
    trials: int = 0


Records = Callable[[], Mapping[str, TrackRecord]]


def posterior(taxonomy: Taxonomy, strategy: str, record: TrackRecord) -> float:
    """Mean of the Beta posterior: (prior x weight + successes) / (weight + trials)."""
    prior, weight = taxonomy.strategies[strategy].prior, taxonomy.prior_weight
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
    for name in registered:
        entry = taxonomy.strategies.get(name)
        if entry is None or name == ESCALATE:
            continue
        served = sum(probabilities.get(serves, 0.0) for serves in entry.serves)
        # A strategy that does not serve the diagnosed type itself is not offered for it.
        if served < _LEAST or type_ not in entry.serves:
            continue
        record = records.get(name, TrackRecord())
        success = posterior(taxonomy, name, record)
        runbook = next((c for c in cited if c.runbook.strategy == name and type_ in c.runbook.types), None)
        params: dict[str, Any] = dict(runbook.runbook.params) if runbook else {}
        expected = min(1.0, served * success * (_RECOMMENDED if runbook else 1.0))
        because = f"P(type it serves) {served:.2f} x P(success) {success:.2f}"
        if record.trials:
            because += f" ({record.successes} of {record.trials} here)"
        if runbook:
            because += f", recommended by {runbook.ref}"
        found.append(
            Choice(
                strategy=name,
                params=params,
                serves=type_,
                expected=round(expected, 6),
                success=round(success, 6),
                successes=record.successes,
                trials=record.trials,
                because=because,
            )
        )
    return (*sorted(found, key=lambda choice: (-choice.expected, choice.strategy)), last)
