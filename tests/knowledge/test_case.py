from pathlib import Path

import pytest

from app.foundation.errors import Invalid
from app.knowledge.case import Case, Origin, read_cases

GOOD = b'{"id": "a-1", "text": "it timed out", "type": "network_timeout", "system": "airflow"}'


def write(folder: Path, name: str, *lines: bytes) -> None:
    (folder / name).write_bytes(b"\n".join(lines) + b"\n")


def places(folder: Path) -> list[str]:
    """Where reading stopped, as people are told."""
    with pytest.raises(Invalid) as raised:
        list(read_cases(folder))
    return [place for place, _ in raised.value.places]


class TestReadCases:
    def test_a_line_is_a_shipped_case(self, tmp_path: Path) -> None:
        write(tmp_path, "a.jsonl", GOOD)
        (case,) = read_cases(tmp_path)
        assert case == Case(id="a-1", text="it timed out", type="network_timeout", system="airflow")
        assert (case.origin, case.resolution, case.success) == (Origin.SHIPPED, "", None)

    def test_files_come_by_name_and_lines_in_order(self, tmp_path: Path) -> None:
        write(tmp_path, "b.jsonl", GOOD.replace(b"a-1", b"b-1"))
        write(tmp_path, "a.jsonl", GOOD, b"", b"   ", GOOD.replace(b"a-1", b"a-2"))
        write(tmp_path, "c.txt", b"no case")
        assert [case.id for case in read_cases(tmp_path)] == ["a-1", "a-2", "b-1"]

    def test_a_text_keeps_its_lines_and_its_letters(self, tmp_path: Path) -> None:
        write(
            tmp_path, "a.jsonl", GOOD.replace(b"it timed out", "Zeitüberschreitung\\n 超时\\u2028!".encode())
        )
        (case,) = read_cases(tmp_path)
        assert case.text == "Zeitüberschreitung\n 超时\u2028!"

    def test_an_empty_folder_has_none(self, tmp_path: Path) -> None:
        assert list(read_cases(tmp_path)) == []

    @pytest.mark.parametrize(
        ("line", "place"),
        [
            (b"{", "a.jsonl:3"),
            (b"\xff", "a.jsonl:3"),
            (b'{"id": "a-2"} {"id": "a-3"}', "a.jsonl:3"),
            (b"[]", "a.jsonl:3 "),
            (GOOD.replace(b'"type"', b'"kind"'), "a.jsonl:3 type"),
            (GOOD.replace(b"it timed out", b""), "a.jsonl:3 text"),
            (GOOD.replace(b'"a-1"', b"1"), "a.jsonl:3 id"),
            (GOOD.replace(b"}", b', "success": true}'), "a.jsonl:3 success"),
        ],
    )
    def test_a_mistake_names_file_and_line(self, tmp_path: Path, line: bytes, place: str) -> None:
        write(tmp_path, "a.jsonl", GOOD, b"", line, GOOD)
        assert place in places(tmp_path)

    def test_all_that_is_wrong_in_a_line_is_said_at_once(self, tmp_path: Path) -> None:
        write(tmp_path, "a.jsonl", b'{"id": "a-1", "colour": "red"}')
        assert sorted(places(tmp_path)) == [
            "a.jsonl:1 colour",
            "a.jsonl:1 system",
            "a.jsonl:1 text",
            "a.jsonl:1 type",
        ]
