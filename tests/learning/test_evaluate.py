"""Figures against values computed by hand, and against scikit-learn's."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from app.foundation.errors import Invalid, NotFound
from app.learning.evaluate import (
    Prediction,
    Row,
    evaluate,
    read_rows,
    report,
    write_predictions,
)
from tests.diagnosis import small

LABELS = st.sampled_from(["a", "b", "c", "d"])


def rows(*labels: str) -> list[Row]:
    return [Row(id=str(n), text=f"text {n}", label=label) for n, label in enumerate(labels)]


def made(*labels: str, confidence: float = 0.9) -> list[Prediction]:
    return [
        Prediction(id=str(n), label=label, confidence=confidence, abstained=False)
        for n, label in enumerate(labels)
    ]


class TestReport:
    @given(pairs=st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40))
    def test_macro_f1_is_that_of_scikit_learn(self, pairs: list[tuple[str, str]]) -> None:
        true, said = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        expected = f1_score(true, said, labels=sorted(set(true)), average="macro", zero_division=0)
        found = report(rows(*true), made(*said), 1.0)
        assert found.macro_f1 == pytest.approx(expected, abs=1e-4)
        assert found.accuracy == pytest.approx(sum(map(str.__eq__, true, said)) / len(pairs), abs=1e-4)

    def test_by_hand(self) -> None:
        found = report(rows("a", "a", "b", "b"), made("a", "b", "b", "c"), 0.5)
        assert (found.n, found.accuracy, found.ms_per_item) == (4, 0.5, 125.0)
        assert found.per_class["a"].model_dump() == {"n": 2, "precision": 1.0, "recall": 0.5, "f1": 0.6667}
        assert found.per_class["b"].model_dump() == {"n": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}
        assert list(found.per_class) == ["a", "b"]
        assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-4)
        assert found.ece == 0.4

    def test_abstentions_are_counted(self) -> None:
        given = made("a", "b")
        given[1] = given[1].model_copy(update={"abstained": True})
        assert report(rows("a", "b"), given, 1.0).abstained == 1


class TestEvaluate:
    def test_a_prediction_for_each_row_in_order(self) -> None:
        brain, _ = small.make(None)
        labelled = [Row(id=case.id, text=case.text, label=case.type) for case in small.cases()[::2]]
        labelled.append(Row(id="empty", text="", label="unknown_error"))
        found, seconds = evaluate(brain, labelled)
        assert [one.id for one in found] == [row.id for row in labelled]
        assert seconds > 0
        assert report(labelled, found, seconds).accuracy > 0.9
        assert found[-1].abstained
        assert all(one.abstained for one in found if one.label == "unknown_error" or one.confidence < 0.5)
        assert not any(
            one.abstained for one in found if one.label != "unknown_error" and one.confidence >= 0.5
        )


class TestReadRows:
    def test_other_columns_are_passed_over_and_numbers_are_names(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_text(
            '{"id": 7, "text": "x", "label": "a", "note": 1}\n\n{"id": "b", "text": "", "label": "a"}\n'
        )
        assert read_rows(path) == [Row(id="7", text="x", label="a"), Row(id="b", text="", label="a")]

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ('{"id": 1, "text": "x", "label": "a"}\n{"id"', "line 2"),
            ('{"id": 1, "text": "x"}', "line 1 label"),
            ('\n{"id": 1, "text": 3, "label": "a"}', "line 2 text"),
            ("[1]", "line 1 "),
        ],
    )
    def test_a_mistake_names_its_line(self, tmp_path: Path, text: str, place: str) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_text(text)
        with pytest.raises(Invalid, match=r"rows\.jsonl") as raised:
            read_rows(path)
        assert place in [where for where, _ in raised.value.places]

    def test_none_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text("\n")
        with pytest.raises(Invalid, match="is empty"):
            read_rows(tmp_path / "rows.jsonl")
        with pytest.raises(NotFound):
            read_rows(tmp_path / "gone.jsonl")


class TestWritePredictions:
    def test_one_object_a_line(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        write_predictions(path, made("a", "b"))
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        assert lines[1] == {"id": "1", "label": "b", "confidence": 0.9, "abstained": False}
        assert len(lines) == 2
