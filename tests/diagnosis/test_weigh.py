"""What each voice counts at a site."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.diagnosis.weigh import Heard, Voice, weigh

USUAL = {"words@1": 0.6, "cases@1": 0.4}
ELSEWHERE = {"words@1": 0.85, "cases@1": 0.85}


def weights(**heard: tuple[int, int]) -> dict[str, float]:
    here = {f"{name}@1": Heard(right=right, judged=judged) for name, (right, judged) in heard.items()}
    return {voice.scorer: voice.weight for voice in weigh(USUAL, ELSEWHERE, here, 16)}


def test_nothing_judged_changes_nothing() -> None:
    assert weights() == USUAL


def test_as_good_as_elsewhere_changes_nothing() -> None:
    assert weights(words=(85, 100), cases=(85, 100)) == pytest.approx(USUAL, abs=1e-3)


def test_all_worse_alike_changes_nothing() -> None:
    """People correct what is wrong more than they praise what is right."""
    assert weights(words=(3, 10), cases=(3, 10)) == pytest.approx(USUAL, abs=1e-3)


def test_who_is_wrong_here_counts_less_and_the_others_more() -> None:
    few, many = weights(words=(1, 5), cases=(5, 5)), weights(words=(10, 50), cases=(50, 50))
    assert USUAL["words@1"] > few["words@1"] > many["words@1"]
    assert USUAL["cases@1"] < few["cases@1"] < many["cases@1"]


def test_always_wrong_is_all_but_silent() -> None:
    assert weights(words=(0, 10_000), cases=(9_000, 10_000))["words@1"] < 0.05


def test_a_voice_without_a_known_accuracy_keeps_its_weight() -> None:
    voices = weigh({"new@1": 0.3}, {}, {"new@1": Heard(right=0, judged=50)}, 16)
    assert voices == (Voice(scorer="new@1", weight=0.3, usually=0.3, right=0, judged=50),)


def test_it_says_so() -> None:
    (voice,) = weigh({"a@1": 0.5}, {"a@1": 0.8}, {"a@1": Heard(right=4, judged=9)}, 16)
    assert voice.says == "counts 0.50, usually 0.50: right in 4 of 9 judged here"
    assert weigh({"a@1": 0.5}, {}, {}, 16)[0].says == ""


@given(
    st.dictionaries(st.sampled_from("abcd"), st.floats(0, 3), min_size=1),
    st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1)),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50)),
    st.integers(1, 40),
)
def test_the_sum_stays(
    usual: dict[str, float], accuracy: dict[str, float], right: dict[str, int], types: int
) -> None:
    heard = {name: Heard(right=count, judged=50) for name, count in right.items()}
    voices = weigh(usual, accuracy, heard, types)
    assert all(voice.weight >= 0 for voice in voices)
    assert sum(voice.weight for voice in voices) == pytest.approx(sum(usual.values()), abs=1e-3)
