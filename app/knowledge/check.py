"""Check: is the knowledge that ships whole, varied and free of near-duplicates?"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from app.foundation.record import Record
from app.knowledge.case import Case, read_cases
from app.knowledge.runbook import Mistake, Runbook
from app.knowledge.taxonomy import Taxonomy

LEAST_CASES = 150
LEAST_RUNBOOKS = 3
_WORD = re.compile(r"[^\W\d_]+")


class Size(Record):
    cases: int
    systems: int
    runbooks: int


class Check(Record):
    """`problems` is empty when all is well; each names what to mend."""

    cases: int
    systems: int
    runbooks: int
    sizes: dict[str, Size]
    problems: tuple[str, ...]


def check(
    folder: Path, taxonomy: Taxonomy, runbooks: Sequence[Runbook], mistakes: Sequence[Mistake]
) -> Check:
    """Reads `folder/cases`; raises Invalid for a line that is no case."""
    cases = list(read_cases(folder / "cases"))
    problems = [str(mistake) for mistake in mistakes]
    problems += [
        f"{case.id}: no such type {case.type!r}" for case in cases if case.type not in taxonomy.types
    ]
    problems += [
        f"{case_id}: the id stands {n} times" for case_id, n in Counter(c.id for c in cases).items() if n > 1
    ]
    problems += [
        f"{one} and {other} differ in numbers and names only" for one, other in near_duplicates(cases)
    ]
    sizes: dict[str, Size] = {}
    for name, entry in taxonomy.types.items():
        of_type = [case for case in cases if case.type == name]
        sizes[name] = Size(
            cases=len(of_type),
            systems=len({case.system for case in of_type}),
            runbooks=sum(name in runbook.types for runbook in runbooks),
        )
        if entry.read_from_text and sizes[name].cases < LEAST_CASES:
            problems.append(f"{name}: {sizes[name].cases} cases, at least {LEAST_CASES} are wanted")
        if entry.read_from_text and sizes[name].runbooks < LEAST_RUNBOOKS:
            problems.append(f"{name}: {sizes[name].runbooks} runbooks, at least {LEAST_RUNBOOKS} are wanted")
    return Check(
        cases=len(cases),
        systems=len({case.system for case in cases}),
        runbooks=len(runbooks),
        sizes=sizes,
        problems=tuple(problems),
    )


def near_duplicates(cases: Sequence[Case]) -> list[tuple[str, str]]:
    """Pairs of cases with the same words in the same order, whatever the numbers between them."""
    seen: dict[tuple[str, ...], str] = {}
    found: list[tuple[str, str]] = []
    for case in cases:
        words = tuple(word.lower() for word in _WORD.findall(case.text))
        if words in seen:
            found.append((seen[words], case.id))
        else:
            seen[words] = case.id
    return found
