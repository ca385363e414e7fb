from pathlib import Path

import pytest

from app.foundation.errors import Invalid
from app.knowledge.shipped import knowledge_folder
from app.knowledge.taxonomy import read_taxonomy
from app.remediation.strategies import STRATEGIES

SHIPPED = read_taxonomy(knowledge_folder() / "taxonomy.yaml")
GOOD = """
version: 1
prior_weight: 4
types:
  network_timeout: {when: "the other side was not reached"}
  data_drift: {when: "live data moved", read_from_text: false}
strategies:
  retry: {serves: [network_timeout], prior: 0.8, risk: low, undo: nothing}
  tell: {serves: ["*"], risk: none, undo: nothing}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "taxonomy.yaml"
    path.write_text(text)
    return path


class TestReadTaxonomy:
    def test_types_and_strategies(self, tmp_path: Path) -> None:
        found = read_taxonomy(written(tmp_path, GOOD))
        assert found.text_types == ("network_timeout",)
        assert found.strategies["retry"].prior == 0.8
        assert found.strategies["tell"].prior == 0.5

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("types: [", "(whole)"),
            ("", "(whole)"),
            ("- a list", "(whole)"),
            ("version: 2026-99-99", "(whole)"),
            (GOOD.replace("version: 1", "version: one"), "version"),
            (GOOD.replace("prior_weight: 4", "prior_weight: 0"), "prior_weight"),
            (GOOD.replace("prior: 0.8", "prior: 1.8"), "strategies.retry.prior"),
            (GOOD.replace("risk: low, ", ""), "strategies.retry.risk"),
            (GOOD.replace("{when:", "{wenn:"), "types.network_timeout.wenn"),
            (GOOD.replace("serves: [network_timeout]", "serves: [network_timout]"), "(whole)"),
        ],
    )
    def test_a_mistake_names_its_place(self, tmp_path: Path, text: str, place: str) -> None:
        with pytest.raises(Invalid, match=r"^taxonomy\.yaml is not") as raised:
            read_taxonomy(written(tmp_path, text))
        assert place in [where for where, _ in raised.value.places]

    def test_a_type_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        text = GOOD.replace("serves: [network_timeout]", "serves: [network_timout]")
        with pytest.raises(Invalid) as raised:
            read_taxonomy(written(tmp_path, text))
        assert "strategies.retry.serves names no type: network_timout" in raised.value.places[0][1]

    @pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["not there", "no text"])
    def test_one_that_cannot_be_read_is_refused(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "taxonomy.yaml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(Invalid, match=r"taxonomy\.yaml cannot be read"):
            read_taxonomy(path)


class TestServing:
    def test_those_that_name_the_type_come_before_those_for_everything(self, tmp_path: Path) -> None:
        found = read_taxonomy(written(tmp_path, GOOD))
        assert found.serving("network_timeout") == ["retry", "tell"]
        assert found.serving("data_drift") == ["tell"]


class TestTheShippedOne:
    def test_it_knows_every_strategy_that_can_run_with_the_same_risk(self) -> None:
        assert {kind.id: kind.risk for kind in STRATEGIES} == {
            kind.id: SHIPPED.strategies[kind.id].risk for kind in STRATEGIES
        }

    def test_every_type_says_when_it_is_right(self) -> None:
        assert all(entry.when.endswith(".") for entry in SHIPPED.types.values())

    def test_every_type_is_served_by_a_person_at_least(self) -> None:
        assert all("escalate_to_human" in SHIPPED.serving(type_) for type_ in SHIPPED.types)

    def test_it_has_the_type_for_what_cannot_be_told(self) -> None:
        assert "unknown_error" in SHIPPED.text_types
