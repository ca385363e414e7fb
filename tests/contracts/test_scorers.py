"""What every scorer keeps, found in the tuple of `app/diagnosis/scorers`, in a small world of cases."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.diagnosis import scorers
from app.diagnosis.diagnosis import EvidenceKind, Finding, Symptom
from app.diagnosis.excerpt import excerpt
from app.diagnosis.fit import Fitted
from app.diagnosis.scorer import Scorer, named
from app.diagnosis.scorers import SCORERS
from app.foundation.record import Record
from app.knowledge.case import Case, Origin
from app.knowledge.retrieve import Retriever
from tests.diagnosis import small

OWN = [
    Case(id="own-1", text="the ledger stopped, exit code 7", type="quota_exceeded", origin=Origin.CORRECTION),
    Case(
        id="own-2",
        text="connection to the ledger timed out after 30 s",
        type="network_timeout",
        strategy="retry",
        success=True,
        origin=Origin.OUTCOME,
    ),
]
CASES = {case.id: case for case in (*small.cases(), *OWN)}


class Parrot:
    """A chat that names the same type each time and quotes how the message begins."""

    def ask(self, instructions: str, question: str) -> str:
        message = question.removeprefix("<message>\n").removesuffix("\n</message>")
        return orjson.dumps(
            {"type": "quota_exceeded", "quote": message[:20].encode("utf-8", "replace").decode()}
        ).decode()


# Those that are made of more than the retriever.
MAKES: dict[str, Callable[[Fitted, Retriever], Scorer]] = {
    "tfidf_linear": lambda fitted, _: scorers.TfidfLinear(scorers.TfidfLinear.Params(), fitted.tfidf),
    "embedding_linear": lambda fitted, retriever: scorers.EmbeddingLinear(
        scorers.EmbeddingLinear.Params(), fitted.embedding, retriever
    ),
    "nearest_cases": lambda _, retriever: scorers.NearestCases(scorers.NearestCases.Params(), retriever),
    "runbook_sections": lambda _, retriever: scorers.RunbookSections(
        scorers.RunbookSections.Params(), retriever
    ),
    "language_model": lambda _, __: scorers.LanguageModel(
        scorers.LanguageModel.Params(), Parrot(), small.taxonomy()
    ),
    "own_cases": lambda _, retriever: scorers.OwnCases(scorers.OwnCases.Params(), retriever),
}
TELLING = [
    Symptom(message="Connection to Orders TIMED OUT after 30 s"),
    Symptom(message="duplicate key in 10.0.0.7:5432/orders at 2026-11-20 12:00:01"),
    Symptom(message="the ledger stopped, exit code 7", system="system-1", kind="job"),
    Symptom(message="the job failed", log="INFO ok\n" * 300 + "Error: permission denied for orders\n"),
]
ANYTHING = st.builds(
    Symptom,
    message=st.text(max_size=300) | st.sampled_from([case.text for case in CASES.values()]),
    log=st.sampled_from(["", "INFO ok\n" * 30 + "quota exceeded"]),
)


@pytest.fixture(scope="module")
def world() -> dict[str, Scorer]:
    """Every scorer, made by its parameters and what was learned."""
    brain, retriever = small.make(None)
    for case in OWN:
        retriever.add_case(case, retriever.embed(case.text))
    kinds: tuple[Any, ...] = SCORERS
    return {
        kind.id: MAKES[kind.id](brain.fitted, retriever) if kind.id in MAKES else kind(retriever)
        for kind in kinds
    }


@pytest.fixture(params=SCORERS, ids=lambda kind: kind.id)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def quoted(item: Any, symptom: Symptom) -> str:
    """Where the quote of some evidence must stand."""
    if item.kind is EvidenceKind.CASE:
        return CASES[item.ref].text
    if item.kind is EvidenceKind.RUNBOOK:
        runbook, _, anchor = item.ref.partition("#")
        section = next(book for book in small.RUNBOOKS if book.id == runbook).section(anchor)
        assert section is not None
        return section.text
    return excerpt(symptom.message, symptom.log)


def holds(finding: Finding, symptom: Symptom, kind: Any) -> None:
    """What is true of each finding."""
    assert finding.scorer == f"{kind.id}@{kind.version}"
    assert all(0 <= score <= 1 for score in finding.scores.values())
    assert sum(finding.scores.values()) <= 1 + 1e-6
    assert finding.contributes == bool(finding.scores)
    assert finding.hint
    for item in finding.evidence:
        assert item.quote
        assert item.quote.lower() in quoted(item, symptom).lower()


class TestTheClass:
    def test_every_file_is_registered_under_its_name(self) -> None:
        files = [module.name for module in pkgutil.iter_modules(scorers.__path__)]
        assert sorted(kind.id for kind in SCORERS) == sorted(files)

    def test_the_docstring_has_its_headings(self, kind: Any) -> None:
        doc = importlib.import_module(kind.__module__).__doc__ or ""
        lines = [line.partition(":")[0] for line in doc.splitlines()]
        assert [line for line in lines if line in ("Reads", "Costs", "Weak", "From")] == [
            "Reads",
            "Costs",
            "Weak",
            "From",
        ]
        assert doc.partition("\n")[0].endswith((".", "?"))

    def test_params_come_back_the_same_and_know_their_names(self, kind: Any) -> None:
        params = kind.Params()
        assert isinstance(params, Record)
        assert kind.Params.model_validate_json(params.model_dump_json()) == params
        with pytest.raises(ValidationError):
            kind.Params(unheard_of=1)

    def test_it_is_named_by_id_and_version(self, kind: Any, world: dict[str, Scorer]) -> None:
        assert named(world[kind.id]) == f"{kind.id}@{kind.version}"


class TestScore:
    @pytest.mark.parametrize("symptom", TELLING, ids=lambda one: one.message[:20])
    def test_of_what_tells_something(self, kind: Any, world: dict[str, Scorer], symptom: Symptom) -> None:
        holds(world[kind.id].score(symptom), symptom, kind)

    @pytest.mark.parametrize("nth", range(len(SCORERS)), ids=[kind.id for kind in SCORERS])
    @settings(deadline=None, max_examples=40)
    @given(symptom=ANYTHING)
    def test_it_never_raises_changes_nothing_and_repeats_itself(
        self, nth: int, world: dict[str, Scorer], symptom: Symptom
    ) -> None:
        kind, before = SCORERS[nth], symptom.model_dump_json()
        finding = world[kind.id].score(symptom)
        holds(finding, symptom, kind)
        assert world[kind.id].score(symptom) == finding
        assert symptom.model_dump_json() == before

    def test_it_speaks_somewhere_with_evidence_or_a_hint(self, kind: Any, world: dict[str, Scorer]) -> None:
        found = [world[kind.id].score(symptom) for symptom in TELLING]
        assert any(finding.contributes for finding in found)
        if kind.id != "embedding_linear":  # where an embedding lies cannot be quoted
            assert any(finding.evidence for finding in found)

    def test_one_that_abstains_says_why(self, kind: Any, world: dict[str, Scorer]) -> None:
        finding = world[kind.id].score(Symptom(message="§"))
        if not finding.contributes:
            assert finding.scores == {}
            assert finding.hint


class TestQuotes:
    def test_words_are_quoted_as_the_message_writes_them(self, world: dict[str, Scorer]) -> None:
        finding = world["tfidf_linear"].score(TELLING[0])
        assert {"TIMED", "TIMED OUT"} & {item.quote for item in finding.evidence}
        assert all(item.quote in TELLING[0].message for item in finding.evidence)

    def test_a_mark_of_the_template_is_no_quote(self, world: dict[str, Scorer]) -> None:
        finding = world["tfidf_linear"].score(TELLING[1])
        assert finding.evidence
        assert not any("<" in item.quote for item in finding.evidence)
