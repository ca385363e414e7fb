import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.diagnosis.diagnosis import Finding
from app.diagnosis.fuse import FLOOR, fuse

TYPES = ("a", "b", "c", "d")


def finding(scorer: str, contributes: bool = True, **scores: float) -> Finding:
    return Finding(scorer=scorer, scores=scores, contributes=contributes, hint="")


def findings() -> st.SearchStrategy[Finding]:
    """Any that the contract of scorers allows, over the types and one that is not known."""

    def scaled(parts: list[float], whole: float) -> dict[str, float]:
        total = sum(parts) or 1.0
        return {name: part / total * whole for name, part in zip((*TYPES, "e"), parts, strict=True)}

    shares = st.builds(scaled, st.lists(st.floats(0, 1), min_size=5, max_size=5), st.floats(0, 1))
    return st.builds(
        Finding,
        scorer=st.sampled_from(["x", "y", "z"]),
        scores=shares,
        contributes=st.booleans(),
        hint=st.just(""),
    )


class TestFuse:
    @given(
        given_=st.lists(findings(), max_size=5),
        weights=st.dictionaries(st.sampled_from(["x", "y", "z"]), st.floats(-1, 3)),
    )
    def test_it_is_a_distribution_over_the_types(
        self, given_: list[Finding], weights: dict[str, float]
    ) -> None:
        fused = fuse(given_, weights, TYPES)
        assert tuple(fused) == TYPES
        assert math.isclose(sum(fused.values()), 1)
        assert all(0 <= p <= 1 for p in fused.values())

    @given(given_=st.lists(findings(), max_size=5), order=st.randoms(use_true_random=False))
    def test_the_order_of_findings_does_not_matter(self, given_: list[Finding], order: object) -> None:
        shuffled = list(given_)
        order.shuffle(shuffled)  # type: ignore[attr-defined]
        weights = {"x": 1.0, "y": 0.5, "z": 2.0}
        assert fuse(shuffled, weights, TYPES) == pytest.approx(fuse(given_, weights, TYPES))

    def test_without_a_finding_all_are_alike(self) -> None:
        assert fuse([], {}, TYPES) == dict.fromkeys(TYPES, 0.25)

    @pytest.mark.parametrize(
        "silent",
        [
            finding("unweighted", a=1.0),
            finding("zero", a=1.0),
            finding("negative", a=1.0),
            finding("x", contributes=False, a=1.0),
        ],
        ids=lambda one: one.scorer,
    )
    def test_what_does_not_count_changes_nothing(self, silent: Finding) -> None:
        weights = {"x": 1.0, "zero": 0.0, "negative": -1.0}
        heard = finding("x", b=0.9, c=0.1)
        assert fuse([heard, silent], weights, TYPES) == fuse([heard], weights, TYPES)

    def test_one_whole_voice_of_weight_one_is_kept_as_it_is(self) -> None:
        scores = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}
        assert fuse([finding("x", **scores)], {"x": 1.0}, TYPES) == pytest.approx(scores)

    def test_what_is_withheld_is_spread_evenly(self) -> None:
        # 0.4 said, 0.6 withheld: 0.15 for each of the four types.
        expected = {"a": 0.55, "b": 0.15, "c": 0.15, "d": 0.15}
        assert fuse([finding("x", a=0.4)], {"x": 1.0}, TYPES) == pytest.approx(expected)

    def test_a_veto_counts_but_only_so_far(self) -> None:
        fused = fuse([finding("x", a=0.5, b=0.5), finding("y", b=1.0)], {"x": 1.0, "y": 1.0}, TYPES)
        whole = 0.5 * 1 + 0.5 * FLOOR + 2 * FLOOR * FLOOR
        assert fused["b"] == pytest.approx(0.5 / whole)
        assert fused["a"] == pytest.approx(0.5 * FLOOR / whole)

    def test_weights_are_powers(self) -> None:
        squared = fuse([finding("x", a=0.6, b=0.2, c=0.1, d=0.1)], {"x": 2.0}, TYPES)
        assert squared["a"] / squared["b"] == pytest.approx(9)
