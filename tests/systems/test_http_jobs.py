"""The client of jobs over HTTP, against a real server."""

from pathlib import Path

import pytest

from app.systems.connections import HttpJob
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, NoAnswer, NotNow, ask, place
from tests.doubles import JobServer


def client(jobs: JobServer, **fields: object) -> JobOverHttp:
    return JobOverHttp(HttpJob.model_validate(jobs.job(**fields)))


class TestStart:
    def test_the_same_key_is_one_run(self, jobs: JobServer) -> None:
        first, second = client(jobs).start("k1", ""), client(jobs).start("k1", "")
        assert (first.id, second.id, jobs.acted, jobs.asked["k1"]) == ("run-1", "run-1", 1, 2)
        assert first.status == "running"

    def test_the_failed_run_is_named_in_the_address_and_escaped(self, jobs: JobServer) -> None:
        client(jobs, run=f"{jobs.url}/runs/{{run_id}}/again").start("k1", "a+b:c")
        assert jobs.paths == ["/runs/a%2Bb%3Ac/again"]

    def test_the_token_is_read_each_time_and_sent(self, jobs: JobServer, tmp_path: Path) -> None:
        token = tmp_path / "token"
        asked = client(jobs, token_file=str(token))
        with pytest.raises(FarSideError, match="token cannot be read") as none:
            asked.start("k0", "")
        token.write_text("one\n")
        asked.start("k1", "")
        token.write_text("two\n")
        asked.start("k2", "")
        assert not none.value.again
        assert jobs.tokens == ["Bearer one", "Bearer two"]

    def test_refused_for_now_is_certain_that_nothing_happened(self, jobs: JobServer) -> None:
        jobs.refuse = 1
        with pytest.raises(NotNow) as error:
            client(jobs).start("k1", "")
        assert (error.value.again, error.value.after, jobs.acted) == (True, None, 0)

    def test_it_hears_how_long_to_wait(self, jobs: JobServer) -> None:
        jobs.replies = [(429, {"Retry-After": "7"}), (503, {"Retry-After": "99999"}), (409, {})]
        waits = []
        for _ in range(3):
            with pytest.raises(NotNow) as error:
                client(jobs).start("k1", "")
            waits.append(error.value.after)
        assert waits == [7, 3600, 2]

    def test_silence_is_not_certain(self, jobs: JobServer) -> None:
        jobs.silent = 1
        with pytest.raises(NoAnswer):
            client(jobs).start("k1", "")
        assert jobs.acted == 1

    @pytest.mark.parametrize("code", [502, 504])
    def test_a_gateway_that_gave_up_is_not_certain(self, jobs: JobServer, code: int) -> None:
        jobs.replies = [(code, {})]
        with pytest.raises(NoAnswer):
            client(jobs).start("k1", "")

    def test_an_error_is_certain_only_where_the_far_side_acts_once(self, jobs: JobServer) -> None:
        jobs.replies = [(500, {}), (500, {})]
        with pytest.raises(NotNow):
            client(jobs).start("k1", "")
        with pytest.raises(NoAnswer):
            client(jobs, idempotent=False).start("k1", "")

    def test_without_a_status_address_the_answer_is_the_result(self, jobs: JobServer) -> None:
        jobs.replies = [(500, {}), (204, {})]
        asked = client(jobs, status=None)
        assert [asked.start("k1", "").status, asked.start("k2", "").status] == ["failed", "succeeded"]

    def test_a_result_in_words_we_do_not_know_is_no_success(self, jobs: JobServer) -> None:
        with pytest.raises(FarSideError, match="status we do not know") as error:
            client(jobs, status=None).start("k1", "")
        assert not error.value.again

    @pytest.mark.parametrize("code", [301, 400, 401, 403, 404])
    def test_a_refusal_for_good(self, jobs: JobServer, code: int) -> None:
        jobs.replies = [(code, {"Location": jobs.url} if code == 301 else {})]
        with pytest.raises(FarSideError) as error:
            client(jobs).start("k1", "")
        assert not error.value.again

    def test_nobody_there(self, jobs: JobServer) -> None:
        with pytest.raises(NotNow, match="not reached"):
            client(jobs, run="http://127.0.0.1:1/secret-path").start("k1", "")


class TestFollowing:
    def test_lookup_finds_only_what_the_key_started(self, jobs: JobServer) -> None:
        asked = client(jobs)
        assert asked.lookup("k1", "") is None
        asked.start("k1", "")
        found = asked.lookup("k1", "")
        assert found is not None
        assert (found.id, found.status) == ("run-1", "succeeded")

    def test_lookup_keeps_the_address_own_query(self, jobs: JobServer) -> None:
        asked = client(jobs, lookup=f"{jobs.url}/lookup?job=a")
        asked.start("k1", "")
        assert asked.lookup("k1", "") is not None

    def test_status_follows_the_run(self, jobs: JobServer) -> None:
        jobs.status = "running"
        asked = client(jobs)
        run = asked.start("k1", "").id
        assert asked.status(run, "").status == "running"
        jobs.status = "succeeded"
        assert asked.status(run, "").status == "succeeded"
        with pytest.raises(FarSideError) as error:
            asked.status("run-9", "")
        assert not error.value.again

    def test_a_status_we_do_not_know_is_an_error(self, jobs: JobServer) -> None:
        jobs.status = "perhaps"
        asked = client(jobs)
        run = asked.start("k1", "").id
        with pytest.raises(FarSideError, match="do not know"):
            asked.status(run, "")


class TestMissing:
    def test_a_run_id_is_needed_only_where_it_is_used(self, jobs: JobServer) -> None:
        by_run = client(jobs, run=f"{jobs.url}/{{run_id}}")
        assert client(jobs).missing("") == ""
        assert by_run.missing("scheduled__2024-01-01T00:00:00+00:00") == ""
        assert "no run" in by_run.missing("")

    @pytest.mark.parametrize("run_id", ["../admin", "a/b", "a b", ".hidden", "x" * 201, "a?b", "a\nb"])
    def test_what_an_event_may_not_put_into_an_address(self, jobs: JobServer, run_id: str) -> None:
        assert client(jobs, run=f"{jobs.url}/{{run_id}}").missing(run_id)


class TestAsk:
    def test_an_answer_is_bounded_in_size(self, jobs: JobServer) -> None:
        with pytest.raises(FarSideError, match="more than 1,000,000 bytes") as error:
            ask("GET", f"{jobs.url}/huge", timeout=5)
        assert not error.value.again

    def test_an_answer_that_drips_is_cut(self, jobs: JobServer) -> None:
        with pytest.raises(NoAnswer, match="did not finish"):
            ask("GET", f"{jobs.url}/drip", timeout=0.3)

    def test_a_redirect_is_not_followed(self, jobs: JobServer) -> None:
        assert ask("GET", f"{jobs.url}/away", timeout=5).status == 302

    @pytest.mark.parametrize("address", ["ftp://host/x", "no address", "http://[::1", ""])
    def test_what_is_no_address(self, address: str) -> None:
        with pytest.raises(FarSideError) as error:
            ask("GET", address, timeout=1)
        assert not error.value.again

    def test_only_host_and_port_are_shown(self) -> None:
        assert place("https://user:secret@shop.example:8443/token/abc?key=d") == "shop.example:8443"
        assert place("http://shop:door") == "(no valid address)"
