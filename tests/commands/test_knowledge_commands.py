import io
import json
import sys
from pathlib import Path

import orjson
import pytest

from tests.commands.conftest import Mendline
from tests.diagnosis import small


def rows(path: Path, step: int, labels: dict[str, str] | None = None) -> Path:
    """Some cases of the small world as labelled rows."""
    cases = small.cases()[::step]
    lines = [
        orjson.dumps({"id": n, "text": case.text, "label": (labels or {}).get(case.type, case.type)})
        for n, case in enumerate(cases)
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


class TestKnowledgeCheck:
    def test_what_ships_has_no_problem(self, mendline: Mendline) -> None:
        done = mendline("knowledge", "check", "--json")
        assert done.code == 0
        assert json.loads(done.out)["problems"] == []

    def test_problems_are_told(self, mendline: Mendline, knowledge: Path) -> None:
        (knowledge / "cases" / "b.jsonl").write_text(
            '{"id": "b-1", "text": "x", "type": "nonsense", "system": "s"}\n'
        )
        done = mendline("knowledge", "check")
        assert done.code == 1
        assert "b-1: no such type 'nonsense'" in done.out

    def test_a_line_that_is_no_case(self, mendline: Mendline, knowledge: Path) -> None:
        (knowledge / "cases" / "b.jsonl").write_text("{\n")
        done = mendline("knowledge", "check")
        assert done.code == 1
        assert done.err.startswith("mendline: a case is not JSON\n  b.jsonl:1: ")


class TestDiagnose:
    def test_type_confidence_and_why(self, mendline: Mendline, knowledge: Path) -> None:
        done = mendline("diagnose", "connection to orders timed out after 30 s")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("network_timeout")
        assert "% sure" in done.out
        assert "→ " in done.out

    def test_from_standard_input(
        self, mendline: Mendline, knowledge: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("permission denied for orders\n"))
        found = json.loads(mendline("diagnose", "-", "--json").out)
        assert found["type"] == "permission_denied"

    def test_what_looks_like_a_secret_is_not_repeated(self, mendline: Mendline, knowledge: Path) -> None:
        key = "AKIA" + "IOSFODNN7EXAMPLE"
        done = mendline("diagnose", f"403 access denied: aws_access_key_id={key}", "--json")
        assert done.code == 0
        assert key not in done.out

    def test_nothing_is_stored_of_it(self, mendline: Mendline, knowledge: Path) -> None:
        mendline("diagnose", "connection timed out")
        assert json.loads(mendline("incidents", "--json").out) == []


class TestEvalRun:
    def test_trained_on_rows_alone(self, mendline: Mendline, tmp_path: Path) -> None:
        # Labels of a site's own: the file's labels are all the types there are.
        labels = {"network_timeout": "too-slow", "quota_exceeded": "too-much"}
        train, test = rows(tmp_path / "train.jsonl", 1, labels), rows(tmp_path / "test.jsonl", 3, labels)
        out = tmp_path / "predictions.jsonl"
        done = mendline("eval", "run", test, "--train", train, "--predictions", out, "--json")
        assert (done.code, done.err) == (0, "")
        found = json.loads(done.out)
        assert found["n"] == 22
        assert found["accuracy"] > 0.9
        assert {"too-slow", "too-much"} < set(found["per_class"])
        lines = [orjson.loads(line) for line in out.read_bytes().splitlines()]
        assert [line["id"] for line in lines] == [str(n) for n in range(22)]
        assert set(lines[0]) == {"id", "label", "confidence", "abstained"}

    def test_with_what_is_known(self, mendline: Mendline, knowledge: Path, tmp_path: Path) -> None:
        done = mendline("eval", "run", rows(tmp_path / "test.jsonl", 4))
        assert done.code == 0
        assert "macro-F1" in done.out
        assert "network_timeout" in done.out

    def test_a_row_that_is_none(self, mendline: Mendline, tmp_path: Path) -> None:
        path = rows(tmp_path / "test.jsonl", 10)
        with path.open("a") as file:
            file.write('{"id": 1}\n')
        done = mendline("eval", "run", path)
        assert done.code == 1
        assert done.err.startswith("mendline: test.jsonl has no rows {id, text, label}\n  line 8 text: ")

    @pytest.mark.parametrize("labels", [1, 0], ids=["one label", "no text"])
    def test_too_little_to_learn_from(self, mendline: Mendline, tmp_path: Path, labels: int) -> None:
        path = tmp_path / "train.jsonl"
        path.write_text('{"id": 1, "text": "%s", "label": "a"}\n' % ("x y" if labels else " "))
        done = mendline("eval", "run", rows(tmp_path / "test.jsonl", 10), "--train", path)
        assert done.code == 1
        assert done.err.startswith("mendline: ")
        assert "Traceback" not in done.err
