"""The client against a real MLflow server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.systems import mlflow
from app.systems.connections import MlflowModel
from app.systems.far_side import FarSideError
from app.systems.mlflow import Registry
from tests.registry import LiveModel

pytestmark = pytest.mark.server


@pytest.fixture
def live() -> Iterator[LiveModel]:
    with LiveModel().running() as live:
        yield live


def model(live: LiveModel, **fields: Any) -> MlflowModel:
    return MlflowModel.model_validate(live.connection(**fields))


class TestRegistry:
    def test_the_alias_is_read_and_moved(self, live: LiveModel) -> None:
        registry = Registry(model(live))
        assert registry.current().number == 3
        registry.point(2)
        registry.point(2)
        assert live.current == registry.current().number == 2

    def test_good_versions_newest_first(self, live: LiveModel) -> None:
        live.make(good=True)
        registry = Registry(model(live))
        assert [version.number for version in registry.good_before(4)] == [2, 1]
        assert [version.number for version in registry.good_before(2)] == [1]
        live.tag(3, "stage", "ok 100%")
        other = Registry(model(live, good="stage=ok 100%"))
        assert [version.number for version in other.good_before(9)] == [3]

    def test_tags_are_written_and_read(self, live: LiveModel) -> None:
        registry = Registry(model(live))
        for value in ("1", "2"):
            registry.tag(3, "mendline.x", value)
        assert registry.version(3).tags == {"mendline.x": "2"}
        assert registry.version(1).tags == {"validation_status": "passed"}
        assert registry.version(1).made < registry.version(3).made

    @pytest.mark.parametrize("fields", [{"alias": "none"}, {"model": "none"}])
    def test_what_is_not_there(self, live: LiveModel, fields: dict[str, str]) -> None:
        with pytest.raises(FarSideError, match=r"answered 40[04] [A-Z_]+$") as error:
            Registry(model(live, **fields)).current()
        assert not error.value.again

    def test_what_is_no_registry(self, live: LiveModel) -> None:
        at = live.health.removesuffix("/health")
        live.bad = set()
        with pytest.raises(FarSideError, match="not as MLflow's are"):
            Registry(model(live, url=at)).current()
        live.gloomy = True
        with pytest.raises(FarSideError, match=r"answered 503$") as error:
            Registry(model(live, url=at)).current()
        assert error.value.again

    def test_the_token_is_shown(self, live: LiveModel, tmp_path: Path) -> None:
        live.gloomy = True
        (tmp_path / "token").write_text("hidden\n")
        at = live.health.removesuffix("/health")
        with pytest.raises(FarSideError) as error:
            Registry(model(live, url=at, token_file=tmp_path / "token")).current()
        assert live.tokens == ["Bearer hidden"]
        assert "hidden" not in error.value.says
        with pytest.raises(FarSideError, match=r"the secret in .* cannot be read"):
            Registry(model(live, token_file=tmp_path / "none")).current()

    @pytest.mark.parametrize("field", ["model", "alias"])
    @pytest.mark.parametrize("name", ["", "x' or name != '", 'a"b', "a`b"])
    def test_a_name_that_a_filter_cannot_hold_is_no_name(
        self, live: LiveModel, field: str, name: str
    ) -> None:
        with pytest.raises(ValidationError):
            model(live, **{field: name})


class TestHealth:
    @pytest.mark.parametrize(
        ("says", "ok"),
        [
            (None, True),
            ("fine", True),
            ([1], True),
            ({"uptime": 5}, True),
            ({"status": "UP"}, True),
            ({"status": "degraded"}, False),
            ({"status": None}, False),
        ],
    )
    def test_what_counts_as_well(self, live: LiveModel, says: Any, ok: bool) -> None:
        live.bad, live.says = set(), says
        assert mlflow.health(model(live)).ok is ok

    def test_5xx_and_silence_do_not(self, live: LiveModel) -> None:
        assert mlflow.health(model(live)).says.endswith("answered 503")
        assert not mlflow.health(model(live, health="http://127.0.0.1:1/")).ok
