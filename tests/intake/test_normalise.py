"""Templates: what is volatile is marked, what names the cause stays."""

import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.intake.normalise import normalise

# A shared machine may be slow at any moment; what must be fast has its own tests.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
UUIDS = ("7f3c2a1b-aaaa-4bbb-8ccc-1234567890ab", "00000000-0000-4000-8000-00000000000F")
DIGESTS = (
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c0f08a3ab12",
    "d41d8cd98f00b204e9800998ecf8427e",
)


class TestSameTemplate:
    @pytest.mark.parametrize(
        ("one", "other", "template"),
        [
            ("at 2026-11-20T10:11:12.123Z", "at 2024-01-02T03:04:05+01:00", "at <time>"),
            ("at 2026-11-20 10:11:12,345 x", "at 2025-01-02 03:04:05 x", "at <time> x"),
            ("on 2026-11-20", "on 2024-02-29", "on <time>"),
            ("[20/Nov/2026:10:11:12", "[1/Jan/2025:00:00:00", "[<time>"),
            (f"request {UUIDS[0]} failed", f"request {UUIDS[1]} failed", "request <uuid> failed"),
            (
                "GET https://registry.example.com/v2/a/manifests/1?x=1",
                "GET https://registry.example.com/v2/b",
                "GET https://registry.example.com/<path>",
            ),
            ("to ann@example.com", "to bob.b+x@mail.example.org", "to <email>"),
            ("from 10.0.0.1:443", "from 192.168.1.254:8080", "from <ip>"),
            (f"image sha256:{DIGESTS[0]}", f"image {DIGESTS[1]}", "image <digest>"),
            ("at 0x7ffe12", "at 0xDEADBEEF", "at <hex>"),
            ("commit 3484a3f broke", "commit 0badf00d1 broke", "commit <id> broke"),
            ("open /var/lib/a/orders.csv", "open /tmp/x-1/orders.csv", "open <path>orders.csv"),
            (r"open C:\data\run\orders.csv", r"open D:\x\orders.csv", r"open <path>orders.csv"),
            ("took 1500 ms after 3 tries", "took 3 ms after 12 tries", "took <n> ms after <n> tries"),
            ("took 3.5s", "took 120s", "took <n>s"),
            ("worker-3 lost", "worker-12 lost", "worker-<n> lost"),
            ("line  1\n\tdown", "line 22 down", "line <n> down"),
        ],
    )
    def test_only_the_volatile_parts_differ(self, one: str, other: str, template: str) -> None:
        assert normalise(one) == normalise(other) == template


class TestOtherTemplate:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("HTTP 503", "HTTP 404"),
            ("HTTP 429 from host", "HTTP 500 from host"),
            ("exit code 137", "exit code 139"),
            ("exit code 127", "exit code 1"),
            ("https://a.example.com/x gave 503", "https://b.example.com/x gave 503"),
            ("cannot open /usr/lib/libfoo.so", "cannot open /usr/lib/libbar.so"),
            ("No module named numpy", "No module named pandas"),
            ("codec utf8", "codec utf16"),
            ("pylint E1101", "pylint E0611"),
            ("bucket s3 denied", "bucket gs denied"),
            ("connection refused", "connection reset"),
            ("KeyError: 'a'", "KeyError: 'b'"),
        ],
    )
    def test_the_word_that_matters_stays(self, one: str, other: str) -> None:
        assert normalise(one) != normalise(other)

    @pytest.mark.parametrize(
        "code", ["400", "401", "403", "404", "409", "429", "500", "502", "503", "504", "137"]
    )
    def test_codes_that_name_the_cause_are_kept(self, code: str) -> None:
        assert normalise(f"failed with {code}, again") == f"failed with {code}, again"

    @pytest.mark.parametrize("word", ["utf8", "s3", "E1101", "python3", "i18n", "decade", "facade"])
    def test_names_with_digits_are_kept(self, word: str) -> None:
        assert normalise(word) == word

    @pytest.mark.parametrize("text", ["", " ", "\n\t "])
    def test_nothing_is_nothing(self, text: str) -> None:
        assert normalise(text) == ""


class TestTwice:
    """It is for messages; of a template that was glued together it may make another."""

    @pytest.mark.parametrize(
        "message",
        [
            "2026-11-20 10:11:12.123 ERROR worker-3 GET https://h.example.com/a/b?c=1 gave 503 after 1.5s",
            f"commit 3484a3f of {UUIDS[0]} at 10.0.0.1:443: cannot open /var/lib/x/libfoo.so (0x7f)",
            f"mail to ann@example.com: image sha256:{DIGESTS[0]} has 12 layers",
        ],
    )
    def test_is_once_for_ordinary_messages(self, message: str) -> None:
        assert normalise(normalise(message)) == normalise(message)

    def test_is_not_once_where_things_stand_glued_together(self) -> None:
        once = normalise("20/Nov/2026:10:11:12a@b.example")
        assert (once, normalise(once)) == ("<time>a@b.example", "<time><email>")


class TestAnyText:
    @patient
    @given(message=st.text())
    @example(message="\ud800 1")
    @example(message="\x00 1")
    @example(message="\u0663\u0664 \uff11\uff12")
    def test_never_raises_and_is_short(self, message: str) -> None:
        template = normalise(message)
        assert len(template) <= 2_000
        assert template == normalise(message)

    @patient
    @given(message=st.text(alphabet="a1 /.-:@", max_size=5_000))
    def test_long_ones_are_cut(self, message: str) -> None:
        assert len(normalise(message * 50)) <= 2_000

    def test_a_mark_may_make_a_word_longer_but_not_the_template(self) -> None:
        assert len(normalise("1.2.3.4-" * 1_000)) == 2_000


class TestLinear:
    # Words whose every part could begin an address, a path or a number.
    @pytest.mark.parametrize(
        "piece",
        ["-1", "a1-", "a.", "1.", "1.2.3.4", "/a", "@", "a@", "0a", "00000000-", "[/a", "://a/", "\\", "1_"],
    )
    def test_sixteen_times_the_word_is_not_much_more_than_sixteen_times_the_work(self, piece: str) -> None:
        # Quadratic would be 256 times. The millisecond is the noise of a shared machine.
        assert work(piece, 4_000) < 64 * (work(piece, 250) + 0.001)

    def test_what_lies_beyond_the_limit_costs_nothing(self) -> None:
        assert work("a1-", 1024 * 1024) < 16 * (work("a1-", 4_000) + 0.001)


def work(piece: str, size: int) -> float:
    """Seconds of processor time, the best of three runs, for a word of `size` characters made of `piece`."""
    took = []
    for run in range(3):
        word = f"{run}x{piece * (size // len(piece))}"  # a new word each time: short ones are remembered
        began = time.process_time()
        normalise(word)
        took.append(time.process_time() - began)
    return min(took)
