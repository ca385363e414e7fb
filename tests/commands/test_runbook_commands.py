"""`mendline runbook …` as people type it."""

import json
from pathlib import Path

import pytest

from app.knowledge.shipped import knowledge_folder
from tests.commands.conftest import Filled, Mendline
from tests.far_git import Origin
from tests.web.conftest import runbook_text

SHIPPED = knowledge_folder() / "runbooks" / "upstream-answers-502.md"


def put(data: Path, name: str, text: str = "") -> Path:
    """A runbook in the site's folder."""
    path = data / "runbooks" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or runbook_text(name))
    return path


class TestLint:
    def test_a_bad_file_is_named_as_it_was_given_with_line_word_and_mark(
        self, mendline: Mendline, tmp_path: Path
    ) -> None:
        path = tmp_path / "upstream-answers-502.md"
        path.write_text(SHIPPED.read_text().replace("strategy: recover_service", "strategy: recover_servce"))
        done = mendline("runbook", "lint", path)
        assert (done.code, done.err) == (1, "")
        assert done.out.splitlines() == [
            f"{path}:9: no strategy 'recover_servce' is registered; did you mean 'recover_service'?",
            "    9 | strategy: recover_servce",
            "      |           ^^^^^^^^^^^^^^",
            "0 whole, 1 mistake",
        ]

    def test_a_good_one_passes(self, mendline: Mendline) -> None:
        done = mendline("runbook", "lint", SHIPPED)
        assert (done.code, done.out) == (0, "1 whole, 0 mistakes\n")

    def test_without_a_file_the_shipped_and_the_sites_own(self, mendline: Mendline, data: Path) -> None:
        put(data, "slow")
        put(data, "broken", "x")
        done = mendline("runbook", "lint")
        assert done.code == 1
        assert f"{data}/runbooks/broken.md:1: " in done.out
        assert done.out.splitlines()[-1].startswith("96 whole, ")

    def test_one_that_is_not_there(self, mendline: Mendline, tmp_path: Path) -> None:
        done = mendline("runbook", "lint", tmp_path / "gone.md")
        assert done.code == 1
        assert done.out.startswith(f"{tmp_path}/gone.md:1: cannot be read: No such file")

    def test_one_that_was_long_not_reviewed_is_told(self, mendline: Mendline, tmp_path: Path) -> None:
        path = tmp_path / "upstream-answers-502.md"
        path.write_text(SHIPPED.read_text().replace("reviewed: 2026", "reviewed: 2019"))
        done = mendline("runbook", "lint", path)
        assert done.code == 0
        assert "nobody has reviewed it since 2019" in done.out

    def test_what_a_file_hides_in_control_characters_is_shown_as_such(
        self, mendline: Mendline, tmp_path: Path
    ) -> None:
        path = tmp_path / "x.md"
        path.write_text("\x1b[2J[red]x")
        done = mendline("runbook", "lint", path)
        assert "\x1b" not in done.out
        assert "[red]x" in done.out


class TestNew:
    def test_it_lints_clean_but_for_the_places_to_fill_in(self, mendline: Mendline, data: Path) -> None:
        done = mendline("runbook", "new", "ours", "--type", "network_timeout", "--owner", "data")
        path = data / "runbooks" / "ours.md"
        assert (done.code, done.out.splitlines()[0]) == (0, str(path))
        done = mendline("runbook", "lint", path)
        said = [line for line in done.out.splitlines() if line.startswith(str(path))]
        assert said
        assert all(": still to be filled in: " in line for line in said)
        assert done.out.endswith(f"0 whole, {len(said)} mistakes\n")

    def test_it_is_not_in_force_before_it_is_filled_in(self, mendline: Mendline, data: Path) -> None:
        mendline("runbook", "new", "ours")
        listed = json.loads(mendline("runbook", "list", "--json").out)
        assert "ours" not in [one["id"] for one in listed]

    def test_the_name_of_a_shipped_one_is_told(self, mendline: Mendline) -> None:
        assert "replaces the shipped runbook" in mendline("runbook", "new", SHIPPED.stem).out

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["Not A Name"], "'Not A Name' is no id of a runbook: use small letters, digits and dashes"),
            (["../x"], "'../x' is no id of a runbook"),
            (
                ["x", "--type", "netwrk_timeout"],
                "there is no type 'netwrk_timeout'; did you mean 'network_timeout'?",
            ),
            (
                ["x", "--strategy", "recover_servce"],
                "no strategy 'recover_servce' is registered; did you mean",
            ),
            (["taken"], "taken.md is there already"),
        ],
    )
    def test_what_cannot_be(self, mendline: Mendline, data: Path, words: list[str], says: str) -> None:
        put(data, "taken")
        done = mendline("runbook", "new", *words)
        assert done.code == 1
        assert says in done.err
        assert [path.name for path in (data / "runbooks").iterdir()] == ["taken.md"]


class TestTry:
    TEXT = runbook_text("ledger-slow", body="connection to the ledger timed out").replace(
        "timed out'", "ledger timed'"
    )

    def test_what_it_would_have_matched_and_led_to(
        self, mendline: Mendline, filled: Filled, knowledge: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "ledger-slow.md"
        path.write_text(self.TEXT)
        done = mendline("runbook", "try", path, "--since", "90d")
        assert (done.code, done.err) == (0, "")
        assert filled.incident in done.out
        assert "signal 'ledger timed'" in done.out
        assert "near in meaning" in done.out
        assert "not retry_with_exponential_backoff: the target is not registered" in done.out
        assert "still open" in done.out
        assert done.out.splitlines()[-1] == "1 of 1 incidents of the last 90d matched"

        found = json.loads(mendline("runbook", "try", path, "--json").out)
        (trial,) = found["tried"]
        assert (found["runbook"], found["looked_at"], found["not_tried"]) == ("ledger-slow", 1, [])
        assert trial["match"]["type"] == "network_timeout"
        assert trial["match"]["section"].startswith("ledger-slow#")
        assert trial["cited"]
        assert (trial["strategy"], trial["follows"]) == ("escalate_to_human", False)

    def test_what_it_plans_is_on_its_word_where_the_target_is_registered(
        self, mendline: Mendline, filled: Filled, knowledge: Path, data: Path, tmp_path: Path
    ) -> None:
        (data / "targets.yaml").write_text(
            "targets:\n"
            "- {system: shop, kind: job, name: nightly-load, environment: staging,\n"
            '   connection: {type: http_job, run: "http://127.0.0.1:1/runs"},\n'
            "   allow: [retry_with_exponential_backoff]}\n"
        )
        path = tmp_path / "ledger-slow.md"
        path.write_text(self.TEXT)
        (trial,) = json.loads(mendline("runbook", "try", path, "--json").out)["tried"]
        assert (trial["strategy"], trial["follows"]) == ("retry_with_exponential_backoff", True)
        assert "up to 2 times" in trial["plan"]

    def test_one_with_mistakes_is_linted_instead(self, mendline: Mendline, tmp_path: Path) -> None:
        path = tmp_path / "ledger-slow.md"
        path.write_text(self.TEXT.replace("risk: low", "risk: lwo"))
        done = mendline("runbook", "try", path)
        assert done.code == 1
        assert f"{path}:7: risk: no such value 'lwo'; did you mean 'low'?" in done.out

    def test_nothing_to_look_at(self, mendline: Mendline, knowledge: Path, tmp_path: Path) -> None:
        path = tmp_path / "ledger-slow.md"
        path.write_text(self.TEXT)
        assert (
            mendline("runbook", "try", path, "--since", "1w").out
            == "0 of 0 incidents of the last 1w matched\n"
        )
        assert mendline("runbook", "try", path, "--since", "soon").err.startswith(
            "mendline: 'soon' is no time"
        )


class TestDraft:
    def test_from_what_a_person_solved(self, mendline: Mendline, filled: Filled, data: Path) -> None:
        mendline("move", filled.incident, "resolved", "--reason", "restarted the ledger")
        done = mendline("runbook", "draft", filled.incident)
        path = Path(done.out.splitlines()[0])
        assert (done.code, path.parent) == (0, data / "runbooks")
        assert path.name == "connection-the-ledger-timed.md"
        assert "restarted the ledger" in path.read_text()
        assert mendline("runbook", "lint", path).out == "1 whole, 0 mistakes\n"
        again = mendline("runbook", "draft", filled.incident)
        assert (again.code, again.err) == (1, f"mendline: {path} is there already\n")

    def test_from_one_that_is_open(self, mendline: Mendline, filled: Filled) -> None:
        done = mendline("runbook", "draft", filled.incident, "--name", "ours")
        assert done.code == 1
        assert "is firing; a runbook is drafted from one that was solved" in done.err


class TestList:
    def test_each_with_its_record(self, mendline: Mendline, data: Path) -> None:
        put(data, "slow")
        done = mendline("runbook", "list")
        assert done.code == 0
        lines = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()}
        assert lines["slow"] == ["site", "0", "0", "0", "0"]
        assert lines[SHIPPED.stem] == ["shipped", "0", "0", "0", "0"]

    def test_with_history_for_programs(self, mendline: Mendline, data: Path, tmp_path: Path) -> None:
        origin = Origin(tmp_path, {"slow.md": runbook_text("slow")})
        assert mendline("runbook", "sync", origin.url).code == 0
        (slow,) = [one for one in json.loads(mendline("runbook", "list", "--json").out) if one["own"]]
        assert (slow["id"], slow["file"], slow["mistakes"]) == (
            "slow",
            str(data / "runbooks" / "slow.md"),
            [],
        )
        assert slow["record"] == {"cited": 0, "used": 0, "verified": 0, "undone": 0}
        assert slow["history"]["author"] == "Ada"
        assert [one["subject"] for one in slow["history"]["changes"]] == ["first"]


class TestSync:
    def test_it_brings_them_and_tells_what_is_broken(
        self, mendline: Mendline, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        origin = Origin(tmp_path, {"slow.md": runbook_text("slow"), "README.md": "x"})
        monkeypatch.setenv("MENDLINE_KNOWLEDGE__REPOSITORY", origin.url)
        done = mendline("runbook", "sync")
        assert (done.code, done.out) == (0, f"{data}/runbooks: at {origin.first[:10]}, 1 runbooks in force\n")
        broken = origin.commit({"slow.md": runbook_text("slow").replace("risk: low", "risk: lwo")}, "oh")
        done = mendline("runbook", "sync")
        assert done.code == 1
        assert done.out.splitlines() == [
            f"{data}/runbooks: {origin.first[:10]} to {broken[:10]}, 1 runbooks in force",
            f"{data}/runbooks/slow.md:7: risk: no such value 'lwo'; did you mean 'low'?",
            "    7 | risk: lwo",
            "      |       ^^^",
            "slow: the last version that was whole is in force",
        ]
        (slow,) = [one for one in json.loads(mendline("runbook", "list", "--json").out) if one["own"]]
        assert slow["risk"] == "low"

    def test_from_a_folder_and_a_branch(self, mendline: Mendline, data: Path, tmp_path: Path) -> None:
        origin = Origin(tmp_path, {"slow.md": runbook_text("slow")})
        origin.commit({"quick.md": runbook_text("quick")}, "more", branch="next", base=origin.first)
        done = mendline("runbook", "sync", origin.folder, "--branch", "next")
        assert done.code == 0, done.err
        assert sorted(path.name for path in (data / "runbooks").glob("*.md")) == ["quick.md", "slow.md"]

    def test_into_the_folder_of_the_settings(
        self, mendline: Mendline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MENDLINE_KNOWLEDGE__RUNBOOKS", str(tmp_path / "elsewhere"))
        origin = Origin(tmp_path, {"slow.md": runbook_text("slow")})
        assert mendline("runbook", "sync", origin.url).code == 0
        assert (tmp_path / "elsewhere" / "slow.md").exists()

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "name the repository, or set MENDLINE_KNOWLEDGE__REPOSITORY"),
            (["https://ada:hunter2@git.example.org/x"], "no password in it"),
            (["git://git.example.org/x"], "cannot be used: an address like https://host/path"),
            (["/nowhere/at/all"], "git fetch (a folder) failed"),
        ],
    )
    def test_what_cannot_be(self, mendline: Mendline, words: list[str], says: str) -> None:
        done = mendline("runbook", "sync", *words)
        assert done.code in (1, 3)
        assert says in done.err
        assert "hunter2" not in done.err
