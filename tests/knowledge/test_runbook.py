"""Each kind of mistake: found, at its line, with the word that was meant."""

from datetime import date
from pathlib import Path

import pytest
from pydantic import Field

from app.foundation.record import Record
from app.knowledge.runbook import SECTIONS, Runbook, overdue, read_runbook
from app.knowledge.shelf import files
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import StrategyEntry, Taxonomy, TypeEntry, read_taxonomy
from app.remediation.strategies import STRATEGIES

GOOD = """---
id: load-times-out
types: [network_timeout, service_unavailable]
signals:
  - 'timed out'
  - 'HTTP 50\\d'
strategy: retry
params: {tries: 2}
risk: low
approval: auto
owner: data
reviewed: 2026-11-01
---
# The nightly load times out

## Symptoms

```
# a comment in a log, no heading
## nor this
```

## Confirm

Ask it.

## Fix

Run it again.

## Verify

It is green.

## Roll back

Nothing.

## Escalate

The owner.

## Seen in

Nothing yet.
"""


class Tries(Record):
    tries: int = Field(3, ge=1, le=5)
    pause: float = 1


TAXONOMY = Taxonomy(
    version=1,
    types={
        name: TypeEntry(when=name) for name in ("network_timeout", "service_unavailable", "quota_exceeded")
    },
    strategies={
        "retry": StrategyEntry(serves=("network_timeout",), risk="low", undo=""),
        "rollback": StrategyEntry(serves=("service_unavailable",), risk="high", undo=""),
        "elsewhere": StrategyEntry(serves=("*",), risk="low", undo=""),
    },
)
PARAMS: dict[str, type[Record]] = {"retry": Tries, "rollback": Tries}


def write(folder: Path, text: str, name: str = "load-times-out.md") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def mistakes(folder: Path, old: str, new: str) -> list[str]:
    """What is wrong once `old` is `new`."""
    assert old in GOOD
    runbook, wrong = read_runbook(write(folder, GOOD.replace(old, new, 1)), TAXONOMY, PARAMS)
    assert (runbook is None) == bool(wrong)
    return [str(mistake) for mistake in wrong]


class TestAWholeRunbook:
    def test_it_is_read(self, tmp_path: Path) -> None:
        runbook, wrong = read_runbook(write(tmp_path, GOOD), TAXONOMY, PARAMS)
        assert wrong == []
        assert runbook is not None
        assert runbook.title == "The nightly load times out"
        assert runbook.types == ("network_timeout", "service_unavailable")
        assert runbook.signals == ("timed out", r"HTTP 50\d")
        assert (runbook.strategy, runbook.params) == ("retry", {"tries": 2})
        assert tuple(section.heading for section in runbook.sections) == SECTIONS

    def test_a_section_is_cited_by_its_anchor_and_knows_its_line(self, tmp_path: Path) -> None:
        runbook, _ = read_runbook(write(tmp_path, GOOD), TAXONOMY, PARAMS)
        assert runbook is not None
        section = runbook.section("roll-back")
        assert section is not None
        assert (section.heading, section.text) == ("Roll back", "Nothing.")
        assert GOOD.split("\n")[section.line - 1] == "## Roll back"
        assert runbook.section("no-such") is None

    def test_what_stands_in_a_fence_is_no_heading(self, tmp_path: Path) -> None:
        runbook, _ = read_runbook(write(tmp_path, GOOD), TAXONOMY, PARAMS)
        assert runbook is not None
        assert "## nor this" in runbook.sections[0].text

    def test_line_ends_of_windows_are_no_mistake(self, tmp_path: Path) -> None:
        path = write(tmp_path, "")
        path.write_bytes(GOOD.replace("\n", "\r\n").encode())
        runbook, wrong = read_runbook(path, TAXONOMY, PARAMS)
        assert wrong == []
        assert runbook == read_runbook(write(tmp_path, GOOD), TAXONOMY, PARAMS)[0]

    def test_signals_and_parameters_may_be_left_out(self, tmp_path: Path) -> None:
        text = GOOD.replace("params: {tries: 2}\n", "").replace(
            "signals:\n  - 'timed out'\n  - 'HTTP 50\\d'\n", ""
        )
        runbook, wrong = read_runbook(write(tmp_path, text), TAXONOMY, PARAMS)
        assert wrong == []
        assert runbook is not None
        assert (runbook.signals, runbook.params) == ((), {})


class TestMistakes:
    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("---\nid", "id", "1: begins with front matter between two lines of ---"),
            ("id: load", "id: [load", "3: not YAML: "),
            ("2026-11-01", "2026-13-41", "2: not YAML: "),
            (GOOD.split("---")[1], "\n- a\n- list\n", "2: the front matter is a mapping of keys to values"),
            ("owner: data", "ownr: data", "11: unknown key 'ownr'; did you mean 'owner'?"),
            ("owner: data\n", "", "2: the key 'owner' is missing"),
            ("risk: low", "risk: tiny", "9: risk: no such value 'tiny'; known are low, medium, high"),
            ("reviewed: 2026-11-01", "reviewed: soon", "12: reviewed: "),
            ("id: load-times-out", "id: Load_Times", "2: id: String should match pattern"),
            (
                "id: load-times-out",
                "id: load-timed-out",
                "2: the id 'load-timed-out' is not the file's name 'load-times-out'",
            ),
            (
                "[network_timeout, ",
                "[network_timout, ",
                "3: no such type: 'network_timout'; did you mean 'network_timeout'?",
            ),
            (
                "[network_timeout, ",
                "[zzz, ",
                "3: no such type: 'zzz'; known are network_timeout, service_unavailable, quota_exceeded",
            ),
            ("'timed out'", "'(?=timed) out'", "5: the signal '(?=timed) out' is no RE2 expression: "),
            (
                "strategy: retry",
                "strategy: retri",
                "7: no strategy 'retri' is registered; did you mean 'retry'?",
            ),
            (
                "strategy: retry",
                "strategy: elsewhere",
                "7: no strategy 'elsewhere' is registered; known are retry, rollback",
            ),
            ("{tries: 2}", "{tries: 9}", "8: params.tries: Input should be less than or equal to 5"),
            (
                "{tries: 2}",
                "{trys: 2}",
                "8: retry takes no parameter 'trys'; did you mean 'tries'?",
            ),
            (
                "strategy: retry",
                "strategy: rollback",
                "10: rollback has high risk and needs at least one_person",
            ),
            ("# The nightly load times out", "The nightly load", "14: a level-1 heading says what happened"),
            ("## Confirm", "## Confrim", "23: no section is called 'Confrim'; did you mean 'Confirm'?"),
            ("## Escalate\n\nThe owner.\n\n", "", "14: sections are missing: Escalate"),
            ("Ask it.\n", "", "23: the section 'Confirm' is empty"),
            ("## Seen in", "## Escalate\n\nNobody.\n\n## Seen in", "43: the section 'Escalate' stands twice"),
            ("## Verify", "## Roll back\n\nx\n\n## Verify", "39: the section 'Roll back' stands twice"),
        ],
    )
    def test_it_has_its_line_and_the_nearest_word(
        self, tmp_path: Path, old: str, new: str, expected: str
    ) -> None:
        said = mistakes(tmp_path, old, new)
        assert any(mistake.startswith(f"load-times-out.md:{expected}") for mistake in said), said

    def test_sections_in_another_order(self, tmp_path: Path) -> None:
        text = GOOD.replace("## Verify", "## X").replace("## Fix", "## Verify").replace("## X", "## Fix")
        runbook, wrong = read_runbook(write(tmp_path, text), TAXONOMY, PARAMS)
        assert runbook is None
        assert [str(mistake) for mistake in wrong] == [
            "load-times-out.md:27: the sections stand in this order: Symptoms, Confirm, Fix, Verify, Roll back, "
            "Escalate, Seen in"
        ]

    def test_all_of_them_are_said_by_line(self, tmp_path: Path) -> None:
        text = (
            GOOD.replace("network_timeout", "netwrk").replace("tries: 2", "tries: 0").replace("Ask it.", "")
        )
        _, wrong = read_runbook(write(tmp_path, text), TAXONOMY, PARAMS)
        assert [mistake.line for mistake in wrong] == [3, 8, 23]

    def test_those_of_the_front_and_of_the_body_are_said_together(self, tmp_path: Path) -> None:
        text = (
            GOOD.replace("owner: data", "ownr: data")
            .replace("strategy: retry", "strategy: retri")
            .replace("risk: low", "risk: lwo\nrisk: low")
            .replace("## Verify", "## Verfy")
            .replace("The owner.", "```\nnever closed")
        )
        _, wrong = read_runbook(write(tmp_path, text), TAXONOMY, PARAMS)
        assert [str(one).partition(":")[2] for one in wrong] == [
            "7: no strategy 'retri' is registered; did you mean 'retry'?",
            "10: the key 'risk' stands in line 9 already",
            "12: unknown key 'ownr'; did you mean 'owner'?",
            "15: sections are missing: Seen in",
            "32: no section is called 'Verfy'; did you mean 'Verify'?",
            "42: the block is not closed with ```",
        ]

    def test_without_front_matter_the_body_is_looked_at_all_the_same(self, tmp_path: Path) -> None:
        _, wrong = read_runbook(write(tmp_path, "# It broke\n\n## Symptms\n\nx\n"), TAXONOMY, PARAMS)
        assert [one.line for one in wrong] == [1, 1, 3]

    @pytest.mark.parametrize(
        ("old", "new", "pointed"),
        [
            (
                "[network_timeout, ",
                "[network_timout, ",
                "    3 | types: [network_timout, service_unavailable]\n      |         ^^^^^^^^^^^^^^",
            ),
            ("Ask it.\n", "", "   23 | ## Confirm\n      |    ^^^^^^^"),
            ("tries: 2", "tries: 9", "    8 | params: {tries: 9}\n      |          ^^^^^"),
            ("---\nid", "\nid", ""),
        ],
    )
    def test_the_line_is_shown_with_a_mark_under_the_word(
        self, tmp_path: Path, old: str, new: str, pointed: str
    ) -> None:
        _, wrong = read_runbook(write(tmp_path, GOOD.replace(old, new, 1)), TAXONOMY, PARAMS)
        assert wrong[0].pointed == pointed

    def test_of_a_line_to_be_filled_in_nothing_else_is_said(self, tmp_path: Path) -> None:
        (said,) = mistakes(tmp_path, "[network_timeout, service_unavailable]", "[(fill in the type)]")
        assert said == "load-times-out.md:3: still to be filled in: the type"

    @pytest.mark.parametrize("signal", ["", ".*", "(timeout)?"])
    def test_a_signal_that_matches_everything(self, tmp_path: Path, signal: str) -> None:
        assert mistakes(tmp_path, "'timed out'", f"'{signal}'") == [
            f"load-times-out.md:5: the signal {signal!r} matches everything"
        ]

    @pytest.mark.parametrize("content", [None, b"\xff\xfe---"], ids=["not there", "no text"])
    def test_one_that_cannot_be_read(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "x.md"
        if content:
            path.write_bytes(content)
        runbook, (mistake,) = read_runbook(path, TAXONOMY, PARAMS)
        assert runbook is None
        assert str(mistake).startswith("x.md:1: cannot be read: ")

    def test_keys_that_are_no_words(self, tmp_path: Path) -> None:
        assert mistakes(tmp_path, "owner: data", "7: data")

    def test_a_low_risk_may_still_ask(self, tmp_path: Path) -> None:
        assert mistakes(tmp_path, "approval: auto", "approval: two_people") == []


class TestOverdue:
    def test_a_year_without_a_review(self, tmp_path: Path) -> None:
        runbook, _ = read_runbook(write(tmp_path, GOOD), TAXONOMY, PARAMS)
        assert isinstance(runbook, Runbook)
        assert not overdue(runbook, date(2027, 11, 1))
        assert overdue(runbook, date(2027, 11, 2))


class TestTheShippedOnes:
    def test_they_are_whole(self) -> None:
        params = {kind.id: kind.Params for kind in STRATEGIES}
        taxonomy = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
        found = [read_runbook(file, taxonomy, params) for file in files(knowledge_folder() / "runbooks")]
        assert [str(mistake) for _, wrong in found for mistake in wrong] == []
        assert len(found) >= 3 * len(taxonomy.text_types)
