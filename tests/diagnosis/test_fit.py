import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn

from app.diagnosis.build import build
from app.diagnosis.calibrate import Calibration
from app.diagnosis.fit import Fitted, Weights, keep, load, manifest_for, read_weights
from app.diagnosis.scorers import SCORERS
from app.foundation.clock import FrozenClock
from app.knowledge.case import Case, Origin, read_cases
from app.knowledge.embed import HashingEmbedder, read_encoder
from app.knowledge.shipped import knowledge_folder
from tests.diagnosis import small
from tests.situations import NOW

EMBEDDER = HashingEmbedder.id


@pytest.fixture
def fitted(models: Path) -> Fitted:
    """The value that the small world was fitted to."""
    found = load(manifest_for(small.cases(), EMBEDDER), models)
    assert found is not None
    return found


class TestManifest:
    def test_the_same_things_give_the_same(self) -> None:
        one = manifest_for(small.cases(), EMBEDDER)
        other = manifest_for(list(reversed(small.cases())), EMBEDDER)
        assert (one, one.id) == (other, other.id)
        assert (one.rows, one.sklearn) == (65, sklearn.__version__)

    @pytest.mark.parametrize("field", ["id", "type", "text"])
    def test_other_cases_give_another(self, field: str) -> None:
        cases = small.cases()
        changed = [cases[0].model_copy(update={field: "other"}), *cases[1:]]
        assert manifest_for(changed, EMBEDDER).id != manifest_for(cases, EMBEDDER).id

    def test_another_embedder_gives_another(self) -> None:
        assert manifest_for(small.cases(), "other@1").id != manifest_for(small.cases(), EMBEDDER).id

    def test_what_resolved_a_case_does_not_matter(self) -> None:
        cases = small.cases()
        changed = [cases[0].model_copy(update={"resolution": "other"}), *cases[1:]]
        assert manifest_for(changed, EMBEDDER) == manifest_for(cases, EMBEDDER)


class TestFit:
    def test_every_fitted_scorer_has_a_weight(self, fitted: Fitted) -> None:
        assert set(fitted.weights) == set(fitted.manifest.scorers)
        assert set(fitted.weights) < {f"{kind.id}@{kind.version}" for kind in SCORERS}
        assert all(0 <= weight <= 3 for weight in fitted.weights.values())

    def test_it_was_calibrated_on_rows_it_had_not_seen(self, fitted: Fitted) -> None:
        assert fitted.calibration.rows == 65

    def test_the_types_are_those_of_the_cases(self, fitted: Fitted) -> None:
        assert fitted.types == tuple(sorted({case.type for case in small.cases()}))

    def test_the_same_cases_give_the_same_again(self, fitted: Fitted) -> None:
        again = small.make(None)[0].fitted
        assert (again.weights, again.calibration) == (fitted.weights, fitted.calibration)

    def test_only_what_ships_is_learned(self, tmp_path: Path) -> None:
        # Else a restart after an outcome would answer otherwise than before it.
        own = Case(id="own", text="odd", type="a_type_of_ours", origin=Origin.CORRECTION)
        cases = [*small.cases()[::4], own]  # too few for folds
        embedder = HashingEmbedder()
        brain, _ = build(
            cases,
            embedder.embed([case.text for case in cases]),
            (),
            embedder,
            small.taxonomy(),
            (),
            dict,
            FrozenClock(NOW),
        )
        assert "a_type_of_ours" not in brain.fitted.types


class TestKeptWeights:
    def weights(self, **fields: object) -> Weights:
        manifest = manifest_for(small.cases(), EMBEDDER).model_copy(update=fields)
        names = [f"{kind.id}@{kind.version}" for kind in SCORERS]
        return Weights(
            manifest=manifest, weights=dict.fromkeys(names, 0.125), calibration=Calibration(slope=9, rows=65)
        )

    def test_those_for_exactly_this_are_used(self, tmp_path: Path) -> None:
        path = tmp_path / "weights.json"
        path.write_text(self.weights().model_dump_json())
        fitted = small.make(None, weights=path)[0].fitted
        assert set(fitted.weights.values()) == {0.125}
        assert fitted.calibration.slope == 9

    def test_those_for_something_else_are_not(self, tmp_path: Path) -> None:
        path = tmp_path / "weights.json"
        path.write_text(self.weights(embedder="other@1").model_dump_json())
        fitted = small.make(None, weights=path)[0].fitted
        assert set(fitted.weights.values()) != {0.125}
        assert fitted.calibration.slope != 9

    @pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"weights": {}})])
    def test_a_file_that_is_none_is_passed_over(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "weights.json"
        path.write_text(text)
        assert read_weights(path) is None

    def test_no_file_at_all(self, tmp_path: Path) -> None:
        assert read_weights(tmp_path / "weights.json") is None


class TestTheShippedWeights:
    def test_they_are_for_the_knowledge_that_ships(self) -> None:
        # Else every first start finds them again, for two minutes: run scripts/train.
        folder = knowledge_folder()
        kept = read_weights(folder / "weights.json")
        assert kept is not None
        assert kept.manifest == manifest_for(list(read_cases(folder / "cases")), read_encoder(folder).id)
        assert set(kept.weights) == set(kept.manifest.scorers)


class TestKeep:
    def test_what_was_kept_comes_back(self, fitted: Fitted, tmp_path: Path) -> None:
        keep(fitted, tmp_path / "models")
        found = load(fitted.manifest, tmp_path / "models")
        assert found is not None
        assert (found.manifest, found.weights, found.types) == (fitted.manifest, fitted.weights, fitted.types)
        assert (found.tfidf.terms, found.tfidf.words) == (fitted.tfidf.terms, fitted.tfidf.words)
        for one, other in (
            (found.tfidf.rarity, fitted.tfidf.rarity),
            (found.tfidf.linear.weights, fitted.tfidf.linear.weights),
            (found.tfidf.linear.bias, fitted.tfidf.linear.bias),
            (found.embedding.weights, fitted.embedding.weights),
            (found.embedding.bias, fitted.embedding.bias),
        ):
            assert np.array_equal(one, other)
            assert one.dtype == other.dtype == np.float32

    def test_only_the_newest_stays(self, fitted: Fitted, tmp_path: Path) -> None:
        (tmp_path / "diagnosis-000000000000.npz").write_bytes(b"old")
        (tmp_path / "diagnosis-000000000000.joblib").write_bytes(b"older")
        keep(fitted, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [f"diagnosis-{fitted.manifest.id}.npz"]


class TestLoad:
    def file(self, folder: Path, fitted: Fitted) -> Path:
        return folder / f"diagnosis-{fitted.manifest.id}.npz"

    def test_none_is_none(self, fitted: Fitted, tmp_path: Path) -> None:
        assert load(fitted.manifest, tmp_path) is None

    def test_one_under_another_manifests_name_is_refused(self, fitted: Fitted, tmp_path: Path) -> None:
        keep(fitted, tmp_path)
        wanted = manifest_for(small.cases(), "other@1")
        self.file(tmp_path, fitted).rename(tmp_path / f"diagnosis-{wanted.id}.joblib")
        assert load(wanted, tmp_path) is None

    def test_something_else_in_the_file_is_refused(self, fitted: Fitted, tmp_path: Path) -> None:
        with self.file(tmp_path, fitted).open("wb") as file:
            np.savez(file, kept=np.frombuffer(b'{"weights": {}}', np.uint8))
        assert load(fitted.manifest, tmp_path) is None

    def test_a_flipped_bit_is_noticed(self, fitted: Fitted, tmp_path: Path) -> None:
        keep(fitted, tmp_path)
        path = self.file(tmp_path, fitted)
        whole = bytearray(path.read_bytes())
        at = whole.index(fitted.tfidf.linear.weights.tobytes())
        whole[at] ^= 1
        path.write_bytes(whole)
        assert load(fitted.manifest, tmp_path) is None

    def test_reading_it_and_answering_imports_nothing_that_learning_needs(self, models: Path) -> None:
        says = (
            "import sys; from pathlib import Path; from tests.diagnosis import small; "
            "from app.diagnosis.diagnosis import Symptom; "
            f"brain, _ = small.make(Path({str(models)!r})); "
            "print(brain.diagnose(Symptom(message='duplicate key in orders')).type, "
            "{'sklearn', 'scipy', 'pandas', 'joblib'} & sys.modules.keys())"
        )
        done = subprocess.run(
            [sys.executable, "-c", says], capture_output=True, text=True, timeout=120, check=True
        )
        assert done.stdout.strip() == "data_duplication set()"

    @pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
    def test_a_torn_one_is_refused(self, fitted: Fitted, tmp_path: Path, share: float) -> None:
        keep(fitted, tmp_path)
        path = self.file(tmp_path, fitted)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        assert load(fitted.manifest, tmp_path) is None

    def test_and_made_again(self, fitted: Fitted, tmp_path: Path) -> None:
        path = self.file(tmp_path, fitted)
        path.write_bytes(b"torn")
        brain, _ = small.make(tmp_path)
        assert brain.fitted.manifest == fitted.manifest
        assert load(fitted.manifest, tmp_path) is not None
