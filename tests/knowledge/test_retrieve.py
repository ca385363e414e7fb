from collections.abc import Sequence
from datetime import date

from app.knowledge.case import Case, Origin
from app.knowledge.embed import HashingEmbedder, Matrix
from app.knowledge.retrieve import Retriever
from app.knowledge.runbook import SECTIONS, Runbook, Section

TEXTS = {
    "a-1": "connection to the database timed out after 30 seconds",
    "a-2": "reading from the package index timed out",
    "b-1": "permission denied for relation orders",
    "b-2": "access denied: the role may not write to the bucket",
}
CASES = [Case(id=name, text=text, type="t") for name, text in TEXTS.items()]


class Counting(HashingEmbedder):
    """Counts how many texts it embedded."""

    def __init__(self) -> None:
        self.count = 0

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.count += len(texts)
        return super().embed(texts)


def retriever() -> Retriever:
    made = Retriever(Counting())
    made.load_cases(CASES, made.embedder.embed([case.text for case in CASES]))
    return made


def ids(found: Retriever, text: str, k: int = 5) -> list[str]:
    return [near.case.id for near in found.nearest_cases(text, k)]


def runbook(name: str, signals: tuple[str, ...] = (), **texts: str) -> Runbook:
    """A runbook whose sections say what `texts` has for them."""
    said = {
        heading: texts.get(heading.lower().replace(" ", "_"), f"{name} {heading}") for heading in SECTIONS
    }
    return Runbook(
        id=name,
        types=("t",),
        signals=signals,
        strategy="retry",
        risk="low",
        approval="auto",
        owner="data",
        reviewed=date(2026, 11, 1),
        title=f"about {name}",
        sections=tuple(
            Section(heading=heading, line=line, text=text)
            for line, (heading, text) in enumerate(said.items(), 1)
        ),
    )


class TestNearestCases:
    def test_best_first_with_their_cosine(self) -> None:
        found = retriever().nearest_cases(TEXTS["a-1"], 4)
        assert found[0].case.id == "a-1"
        assert found[0].similarity == 1.0
        scores = [near.similarity for near in found]
        assert scores == sorted(scores, reverse=True)
        assert all(-1 <= score <= 1 for score in scores)

    def test_fewer_when_there_are_fewer(self) -> None:
        assert len(retriever().nearest_cases("anything", 10)) == 4
        assert Retriever(HashingEmbedder()).nearest_cases("anything") == []

    def test_a_text_is_embedded_once(self) -> None:
        found = retriever()
        assert isinstance(found.embedder, Counting)
        before = found.embedder.count
        for _ in range(3):
            found.nearest_cases("some text")
            found.sections("some text")
        assert found.embedder.count == before + 1

    def test_what_is_remembered_is_bounded(self) -> None:
        embedder = Counting()
        found = Retriever(embedder, cache=2)
        for text in ("a", "b", "c", "a"):
            found.embed(text)
        assert embedder.count == 4


class TestAddCase:
    def test_it_is_found_at_once(self) -> None:
        found = retriever()
        case = Case(id="own-1", text="disk full on node seven", type="t", origin=Origin.OUTCOME)
        found.add_case(case, found.embed(case.text))
        assert ids(found, case.text, 1) == ["own-1"]
        assert found.cases == 5

    def test_one_that_is_known_is_replaced(self) -> None:
        found = retriever()
        better = CASES[0].model_copy(update={"type": "other"})
        found.add_case(better, found.embed(better.text))
        assert found.nearest_cases(better.text, 1)[0].case.type == "other"
        assert ids(found, better.text).count("a-1") == 1
        assert found.cases == 4


class TestForget:
    def test_it_is_no_longer_found(self) -> None:
        found = retriever()
        found.forget(["a-1", "never-known"])
        assert sorted(ids(found, TEXTS["a-1"])) == ["a-2", "b-1", "b-2"]

    def test_it_takes_no_place_of_another(self) -> None:
        found = retriever()
        found.forget(["a-1"])
        assert len(found.nearest_cases(TEXTS["a-1"], 1)) == 1

    def test_learned_again_it_is_found_once(self) -> None:
        found = retriever()
        found.forget(["a-1"])
        found.add_case(CASES[0], found.embed(CASES[0].text))
        assert ids(found, TEXTS["a-1"]).count("a-1") == 1


class TestSections:
    def test_each_is_of_another_runbook(self) -> None:
        found = Retriever(HashingEmbedder())
        found.load_runbooks(
            [
                runbook(
                    "one",
                    symptoms="connection timed out",
                    confirm="connection timed out now",
                    fix="timed out",
                ),
                runbook("two", symptoms="connection was refused"),
                runbook("three", symptoms="disk is full"),
            ]
        )
        cited = found.sections("connection timed out", 3)
        assert [item.runbook.id for item in cited][:2] == ["one", "two"]
        assert len({item.runbook.id for item in cited}) == 3
        assert cited[0].ref == "one#symptoms"
        assert [item.similarity for item in cited] == sorted(
            (item.similarity for item in cited), reverse=True
        )

    def test_where_it_was_seen_is_not_what_it_is_about(self) -> None:
        found = Retriever(HashingEmbedder())
        found.load_runbooks(
            [runbook("one", seen_in="zebra", escalate="zebra", roll_back="zebra", verify="zebra")]
        )
        assert {item.section.heading for item in found.sections("zebra", 3)} <= {"Symptoms", "Confirm", "Fix"}

    def test_loading_replaces(self) -> None:
        found = Retriever(HashingEmbedder())
        found.load_runbooks([runbook("one")])
        found.load_runbooks([runbook("two")])
        assert {item.runbook.id for item in found.sections("one", 3)} == {"two"}
        found.load_runbooks([])
        assert found.sections("one", 3) == []


class TestSignalled:
    def test_by_runbook_with_what_matched_first(self) -> None:
        found = Retriever(HashingEmbedder())
        found.load_runbooks(
            [
                runbook("one", signals=("timed out", "connection to .* timed")),
                runbook("two", signals=("refused",)),
                runbook("three"),
            ]
        )
        signalled = found.signalled("Connection to db TIMED OUT")
        assert list(signalled) == ["one"]
        assert signalled["one"][1] == "TIMED OUT"

    def test_a_long_match_is_cut(self) -> None:
        found = Retriever(HashingEmbedder())
        found.load_runbooks([runbook("one", signals=("a+",))])
        assert found.signalled("a" * 500)["one"][1] == "a" * 120
