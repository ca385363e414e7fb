import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.diagnosis.excerpt import LIMIT, excerpt, meaning

CALM = [
    f"2026-11-20 12:{n // 60:02}:{n % 60:02} INFO  step {n} of the nightly load is done" for n in range(200)
]


def in_a_log(line: str, at: int, tail: str = "Process completed with exit code 1.") -> str:
    """A log of 200 lines with one that tells."""
    return "\n".join([*CALM[:at], line, *CALM[at + 1 :], tail])


class TestShortMessages:
    @pytest.mark.parametrize(
        "message",
        [
            "it failed",
            "one\ntwo\nthree",
            "x" * 700,
            "Process completed with exit code 1.",
            "INFO nothing else",
        ],
    )
    def test_they_stay_as_they_are(self, message: str) -> None:
        assert excerpt(message) == message

    def test_but_for_the_space_around_them(self) -> None:
        assert excerpt("\n  it failed \n") == "it failed"

    @pytest.mark.parametrize("message", ["", " ", "\n\n"])
    def test_nothing_is_nothing(self, message: str) -> None:
        assert excerpt(message) == ""


class TestLongLogs:
    @pytest.mark.parametrize("at", [3, 100, 196])
    @pytest.mark.parametrize(
        "line",
        [
            "FATAL: password authentication failed for user 'etl'",
            "Error: container was killed, out of memory",
            "org.postgresql.util.PSQLException: connection refused",
            "Fehler: Verbindung abgelehnt",
            "错误: 无法连接数据库",
            "ошибка: нет доступа",
            "エラー: 接続できません",
            "erreur : accès refusé",
            "E   assert 3 == 4",
        ],
    )
    def test_the_line_that_tells_is_kept(self, line: str, at: int) -> None:
        assert line in excerpt(in_a_log(line, at)).split("\n")

    def test_of_a_log_beside_a_message_both_are_kept(self) -> None:
        found = excerpt("the job failed", in_a_log("fatal: repository not found", 50))
        assert found.startswith("the job failed\n")
        assert "fatal: repository not found" in found.split("\n")

    def test_the_last_cause_of_a_chain_is_kept(self) -> None:
        frames = [f"    at com.shop.Load.step{n}(Load.java:{n})" for n in range(30)]
        chain = [
            "java.lang.RuntimeException: job failed",
            *frames,
            "Caused by: java.io.IOException: could not read",
            *frames,
            "Caused by: java.net.SocketTimeoutException: connect timed out",
            *frames,
            "    ... 12 more",
        ]
        found = excerpt("\n".join(chain)).split("\n")
        assert "Caused by: java.net.SocketTimeoutException: connect timed out" in found
        assert not any("... 12 more" in line or "step3(" in line for line in found)

    def test_the_last_line_of_a_python_traceback_is_kept(self) -> None:
        frames = [
            line
            for n in range(20)
            for line in (f'  File "/srv/load.py", line {n}, in step', f"    call_{n}()")
        ]
        trace = ["Traceback (most recent call last):", *frames, "KeyError: 'order_id'"]
        found = excerpt("\n".join(CALM[:50] + trace)).split("\n")
        assert "KeyError: 'order_id'" in found
        assert not any('File "' in line for line in found)

    def test_lines_keep_their_order(self) -> None:
        log = "\n".join([*CALM[:20], "error: first", *CALM[20:40], "error: second", *CALM[40:]])
        found = excerpt(log).split("\n")
        assert found.index("error: first") < found.index("error: second")

    def test_what_says_nothing_gives_its_last_lines(self) -> None:
        assert excerpt("\n".join(CALM)).split("\n")[-1] == CALM[-1]


class TestLimits:
    @settings(deadline=None)
    @given(
        message=st.text(max_size=3000)
        | st.lists(st.sampled_from([*CALM[:5], "error: x", "", "  at a(b)"])).map("\n".join),
        log=st.text(max_size=3000),
    )
    def test_it_never_raises_and_is_never_longer(self, message: str, log: str) -> None:
        found = excerpt(message, log)
        assert len(found) <= LIMIT
        assert excerpt(message, log) == found

    def test_a_megabyte_on_one_line(self) -> None:
        assert len(excerpt("error " * 200_000)) <= LIMIT

    def test_a_megabyte_of_lines(self) -> None:
        assert "error: the cause" in excerpt("", in_a_log("error: the cause", 100) + "\nall is well" * 80_000)

    def test_every_line_of_it_stands_in_the_text(self) -> None:
        log = in_a_log("  error: indented   ", 50)
        assert all(line in log for line in excerpt("", log).strip().split("\n"))


class TestMeaning:
    def test_what_varies_is_left_out(self) -> None:
        one = "2026-11-20T10:11:12Z request 4711 to 10.0.0.7 failed\n\nid 3f9a1c2b7d"
        two = "2026-11-21T00:00:01Z request 12 to 10.9.8.7 failed\n\nid 0c1d2e3f4a"
        assert meaning(one) == meaning(two) == "request to failed\nid"

    def test_what_says_why_stays(self) -> None:
        assert meaning("HTTP 503 from https://api.example/v1/7") == "HTTP 503 from https://api.example/"

    @given(st.text(max_size=300))
    def test_no_text_becomes_nothing(self, text: str) -> None:
        assert bool(meaning(text)) == bool(text)
