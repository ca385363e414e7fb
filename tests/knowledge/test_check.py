from pathlib import Path

import orjson

from app.knowledge.case import Case
from app.knowledge.check import LEAST_CASES, check, near_duplicates
from app.knowledge.runbook import Mistake
from app.knowledge.shelf import read_runbooks
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import StrategyEntry, Taxonomy, TypeEntry, read_taxonomy
from app.remediation.strategies import STRATEGIES

TAXONOMY = Taxonomy(
    version=1,
    types={"t": TypeEntry(when="."), "seldom": TypeEntry(when=".", read_from_text=False)},
    strategies={"tell": StrategyEntry(serves=("*",), risk="none", undo="")},
)


def case(name: str, text: str, type_: str = "t") -> Case:
    return Case(id=name, text=text, type=type_, system="s")


def problems(folder: Path, *cases: Case, mistakes: tuple[Mistake, ...] = ()) -> list[str]:
    """What is wrong, but for there being few."""
    (folder / "cases").mkdir()
    lines = [orjson.dumps(one.model_dump(include={"id", "text", "type", "system"})) for one in cases]
    (folder / "cases" / "a.jsonl").write_bytes(b"\n".join(lines))
    return [said for said in check(folder, TAXONOMY, [], mistakes).problems if " are wanted" not in said]


class TestCheck:
    def test_what_is_whole_has_none(self, tmp_path: Path) -> None:
        assert problems(tmp_path, case("a", "it timed out"), case("b", "it was refused")) == []

    def test_a_type_that_is_not_there(self, tmp_path: Path) -> None:
        assert problems(tmp_path, case("a", "x", "tt")) == ["a: no such type 'tt'"]

    def test_an_id_that_stands_twice(self, tmp_path: Path) -> None:
        assert problems(tmp_path, case("a", "x"), case("a", "y")) == ["a: the id stands 2 times"]

    def test_texts_that_differ_in_numbers_only(self, tmp_path: Path) -> None:
        said = problems(tmp_path, case("a", "took 30 s on host 7"), case("b", "Took 9 s on host 12"))
        assert said == ["a and b differ in numbers and names only"]

    def test_mistakes_of_runbooks_are_told_as_they_are(self, tmp_path: Path) -> None:
        wrong = Mistake(file="x.md", line=3, says="no such type: 'y'")
        assert problems(tmp_path, mistakes=(wrong,)) == ["x.md:3: no such type: 'y'"]

    def test_too_few_of_a_type_that_is_read_from_text(self, tmp_path: Path) -> None:
        (tmp_path / "cases").mkdir()
        found = check(tmp_path, TAXONOMY, [], [])
        assert found.problems == (
            f"t: 0 cases, at least {LEAST_CASES} are wanted",
            "t: 0 runbooks, at least 3 are wanted",
        )
        assert (found.sizes["seldom"].cases, found.cases) == (0, 0)


class TestNearDuplicates:
    def test_order_of_words_counts(self) -> None:
        assert near_duplicates([case("a", "one two"), case("b", "two one")]) == []

    def test_each_repeat_is_named_with_the_first(self) -> None:
        cases = [case("a", "x 1"), case("b", "x 2"), case("c", "x-3")]
        assert near_duplicates(cases) == [("a", "b"), ("a", "c")]


class TestWhatShips:
    def test_it_has_no_problem(self) -> None:
        folder = knowledge_folder()
        taxonomy = read_taxonomy(folder / "taxonomy.yaml")
        params = {kind.id: kind.Params for kind in STRATEGIES}
        found = check(folder, taxonomy, *read_runbooks(folder / "runbooks", taxonomy, params))
        assert found.problems == ()
        assert all(found.sizes[name].cases >= LEAST_CASES for name in taxonomy.text_types)
