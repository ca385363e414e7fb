import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.knowledge.signals import Signals, mistake


class TestMistake:
    @pytest.mark.parametrize(
        "signal", ["timed out", r"HTTP 429 .* registry", r"^\s*E\d+", "超时", "(?i)x", ""]
    )
    def test_a_good_one_has_none(self, signal: str) -> None:
        assert mistake(signal) == ""

    @pytest.mark.parametrize(
        ("signal", "reason"),
        [
            ("(", "missing )"),
            ("[a", "missing ]"),
            (r"(?=x)", "invalid perl operator"),
            (r"(a)\1", "invalid escape"),
        ],
    )
    def test_a_bad_one_says_why(self, signal: str, reason: str) -> None:
        assert reason in mistake(signal)

    @given(signal=st.text(max_size=20))
    def test_what_has_no_mistake_can_be_searched(self, signal: str) -> None:
        if not mistake(signal):
            Signals([signal]).search("some text")


class TestSearch:
    def test_each_that_occurs_with_what_matched(self) -> None:
        signals = Signals([r"too ?many ?requests", r"HTTP 50\d", "refused"])
        assert signals.search("curl: HTTP 503; TooManyRequests") == [(0, "TooManyRequests"), (1, "HTTP 503")]

    def test_case_does_not_matter(self) -> None:
        assert Signals(["Connection REFUSED"]).search("connection refused") == [(0, "connection refused")]

    def test_none_given_or_none_found(self) -> None:
        assert Signals([]).search("anything") == []
        assert Signals(["x"]).search("") == []

    def test_other_letters_than_ascii(self) -> None:
        assert Signals(["zeitüberschreitung"]).search("Fehler: ZEITÜBERSCHREITUNG") == [
            (0, "ZEITÜBERSCHREITUNG")
        ]

    def test_hostile_text_costs_linear_time(self) -> None:
        # What would take `re` longer than the age of the universe.
        signals = Signals([r"(a+)+$", r"(a|aa)+b"])
        began = time.perf_counter()
        assert signals.search("a" * 20_000 + "!") == []
        assert time.perf_counter() - began < 2
