"""The GitHub client against a double that is as strict as GitHub."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.foundation.clock import FrozenClock
from app.systems.connections import GithubApp
from app.systems.far_side import FarSideError
from app.systems.github import Github
from app.systems.http import NoAnswer, NotNow
from tests.far_git import Hub, Origin, private_key

Make = Callable[..., Github]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    origin = Origin(tmp_path, {"a.yaml": "a: 1\n"})
    origin.commit({"a.yaml": "a: 2\n"}, "fix", branch="mendline/x", base=origin.first)
    with Hub(origin).running() as hub:
        yield hub


@pytest.fixture
def make(hub: Hub, tmp_path: Path) -> Make:
    def made(clock: Any = None, **fields: Any) -> Github:
        return Github(GithubApp.model_validate(hub.app(tmp_path, **fields)), clock)

    return made


def propose(github: Github) -> Any:
    return github.open("mendline/x", "main", "Fix it", "because")


class TestPullRequests:
    def test_one_is_opened_found_and_closed(self, hub: Hub, make: Make) -> None:
        github, tip = make(), hub.origin.tip("mendline/x")
        assert github.find("mendline/x", tip) is None
        opened = propose(github)
        assert (opened.number, opened.state, opened.head.sha, opened.base.ref) == (1, "open", tip, "main")
        assert github.find("mendline/x", tip) == github.get(1) == opened
        assert github.find("mendline/x", hub.origin.first) is None
        github.close(1)
        github.close(1)
        assert github.get(1).state == "closed"
        assert (hub.did["open"], hub.did["close"], hub.did["token"]) == (1, 1, 1)

    def test_a_second_one_of_a_branch_is_refused(self, hub: Hub, make: Make) -> None:
        propose(make())
        with pytest.raises(FarSideError, match="A pull request already exists for acme:mendline/x") as error:
            propose(make())
        assert not error.value.again
        assert hub.did["open"] == 1

    def test_one_that_was_merged_says_so(self, hub: Hub, make: Make) -> None:
        propose(make())
        hub.merge(1)
        assert make().get(1).merged_at is not None

    def test_branches_must_be_there_and_differ(self, hub: Hub, make: Make) -> None:
        for head, says in (("none", "invalid"), ("main", "No commits between main and main")):
            with pytest.raises(FarSideError, match=says) as error:
                make().open(head, "main", "t", "b")
            assert not error.value.again

    def test_checks_of_a_commit(self, hub: Hub, make: Make) -> None:
        assert make().checks(hub.origin.first, "unit tests") == []
        hub.ran = {"unit tests": "", "other": "failure"}
        (run,) = make().checks(hub.origin.first, "unit tests")
        assert (run.status, run.conclusion) == ("in_progress", None)
        hub.ran["unit tests"] = "success"
        (run,) = make().checks(hub.origin.first, "unit tests")
        assert (run.status, run.conclusion) == ("completed", "success")


class TestTokens:
    def test_one_is_kept_until_shortly_before_it_expires(self, hub: Hub, make: Make) -> None:
        clock = FrozenClock(datetime.now(UTC))
        github = make(clock)
        github.find("x", "y")
        clock.advance(timedelta(minutes=54))
        github.find("x", "y")
        assert hub.did["token"] == 1
        # Time moved for us alone, so the key's token would come from the future.
        clock.advance(timedelta(minutes=2))
        with pytest.raises(FarSideError, match="answered 401 to a token"):
            github.find("x", "y")

    def test_one_that_is_nearly_used_up_is_bought_again(self, hub: Hub, make: Make) -> None:
        hub.lasts = timedelta(minutes=4)
        make().find("x", "y")
        make().find("x", "y")
        assert hub.did["token"] == 2

    def test_one_that_was_taken_back_is_bought_again_once(self, hub: Hub, make: Make) -> None:
        make().find("x", "y")
        hub.tokens.clear()
        make().find("x", "y")
        assert hub.did["token"] == 2

    @pytest.mark.parametrize(
        ("minutes", "fine"), [(0, True), (0.8, True), (2, False), (-8, True), (-11, False)]
    )
    def test_a_clock_may_be_a_little_off(self, make: Make, minutes: float, fine: bool) -> None:
        github = make(FrozenClock(datetime.now(UTC) + timedelta(minutes=minutes)))
        if fine:
            github.token()
            return
        with pytest.raises(FarSideError, match="the App's id, key or installation is not accepted") as error:
            github.token()
        assert not error.value.again

    @pytest.mark.parametrize("fields", [{"app_id": 7}, {"installation_id": 7}, {"repository": "acme/other"}])
    def test_another_app_is_refused(self, make: Make, fields: dict[str, Any]) -> None:
        with pytest.raises(FarSideError, match=r"answered (401|404|422) to a token") as error:
            make(**fields).token()
        assert not error.value.again

    def test_keys_that_are_none(self, make: Make, tmp_path: Path) -> None:
        github, path = make(), tmp_path / "app.pem"
        for data, says in (
            (private_key(1), "not accepted"),
            ("no key", "no RSA key"),
            (None, "cannot be read"),
        ):
            path.unlink()
            if data is not None:
                path.write_text(data)
            with pytest.raises(FarSideError, match=says) as error:
                github.token()
            assert "BEGIN" not in error.value.says
            if data is None:
                path.write_text("")

    def test_a_token_is_not_sent_in_the_clear(self, hub: Hub, tmp_path: Path) -> None:
        for api in ("http://github.internal", "http://127.0.0.1.example.org", "ftp://127.0.0.1"):
            with pytest.raises(ValidationError, match="an https address"):
                GithubApp.model_validate(hub.app(tmp_path, api=api))


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "headers", "kind", "after"),
        [
            (403, {"Retry-After": "7"}, NotNow, 7),
            (429, {"Retry-After": "99999"}, NotNow, 3600),
            (403, {}, NotNow, 60),
            (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, NotNow, 1),
            (500, {}, NoAnswer, None),
            (503, {}, NoAnswer, None),
            (301, {"Location": "/elsewhere"}, FarSideError, None),
            (404, {}, FarSideError, None),
        ],
    )
    def test_what_is_worth_another_try(
        self,
        hub: Hub,
        make: Make,
        status: int,
        headers: dict[str, str],
        kind: type[FarSideError],
        after: float,
    ) -> None:
        hub.faults = [(status, headers)]
        with pytest.raises(FarSideError, match=f"GitHub answered {status}") as error:
            propose(make())
        assert type(error.value) is kind
        assert error.value.again is (kind is not FarSideError)
        assert getattr(error.value, "after", None) == after
        assert hub.did["open"] == 0

    def test_an_answer_that_was_lost(self, hub: Hub, make: Make) -> None:
        hub.faults = ["drop"]
        with pytest.raises(NoAnswer):
            propose(make())
        found = make().find("mendline/x", hub.origin.tip("mendline/x"))
        assert found is not None
        assert (found.number, hub.did["open"]) == (1, 1)

    def test_no_error_shows_a_token(self, hub: Hub, make: Make) -> None:
        github = make()
        secret = github.token()
        for fault in [(401, {}), (403, {}), (404, {}), (422, {}), (500, {}), "drop"]:
            hub.faults = [fault, fault]
            with pytest.raises(FarSideError) as error:
                propose(github)
            assert secret not in error.value.says
