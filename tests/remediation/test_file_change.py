"""What strategies that change files share: a file here, a branch, or a proposal; the next run; the undoing."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.decision.plan import Plan
from app.remediation.strategies.open_fix_pull_request import FixParams, OpenFixPullRequest
from app.remediation.strategies.reduce_batch_size import BatchParams, ReduceBatchSize
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    HandedOver,
    NeedsHuman,
    NotApplicable,
    NotDone,
    Pending,
    Receipt,
    RetryLater,
    Snapshot,
    Subject,
    Unclear,
    Undone,
    Verified,
)
from tests.doubles import JobServer, only, register, until
from tests.far_git import Hub, Origin

BEFORE = "batch_size: 32  # per device\nepochs: 3\n"
AFTER = "batch_size: 16  # per device\nepochs: 3\n"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path, {"train.yaml": BEFORE, "other.txt": "x\n"})


@pytest.fixture
def hub(origin: Origin) -> Iterator[Hub]:
    with Hub(origin).running() as hub:
        yield hub


class Repair:
    """One repair by hand: its plan, and each of its steps with the key that the machinery would give."""

    incident, key = "inc_1", "key"

    def __init__(
        self, folder: Path, connection: dict[str, Any], strategy: Any = ReduceBatchSize, **params: Any
    ):
        self.folder = folder
        self.targets = register(folder, connection, name="training")
        self.strategy = strategy(self.targets)
        self.params = (BatchParams if strategy is ReduceBatchSize else FixParams)(**params)
        self.receipts: list[Receipt] = []
        self.made = self.again()

    @property
    def plan(self) -> Plan:
        assert isinstance(self.made, Plan), self.made
        return self.made

    def again(self) -> Plan | NotApplicable:
        subject = Subject(incident_id=self.incident, type="any", target=only(self.targets))
        made: Plan | NotApplicable = self.strategy.plan(subject, self.params)
        return made

    def keep(self) -> Snapshot:
        kept: Snapshot = self.strategy.snapshot(self.plan, self.folder / "keep")
        return kept

    def act(self, index: int) -> Receipt:
        receipt: Receipt = self.strategy.execute(
            self.plan, self.plan.steps[index], f"{self.key}_{index}", self.keep()
        )
        return receipt

    def run(self) -> Any:
        self.kept = self.keep()
        for step in self.plan.steps:
            self.receipts.append(
                self.strategy.execute(self.plan, step, f"{self.key}_{step.index}", self.kept)
            )
        return self.look()

    def recall(self, index: int) -> Any:
        return self.strategy.recall(self.plan, self.plan.steps[index], f"{self.key}_{index}", Snapshot())

    def look(self) -> Any:
        return self.strategy.verify(self.plan, self.receipts)

    def undo(self) -> Any:
        return self.strategy.rollback(self.plan, self.kept, self.receipts)


Make = Callable[..., Repair]


@pytest.fixture
def on_disk(tmp_path: Path) -> Make:
    def made(**fields: Any) -> Repair:
        path = tmp_path / "train.yaml"
        path.write_text(BEFORE)
        path.chmod(0o640)
        return Repair(tmp_path, {"type": "config_file", "path": str(path), "keys": ["batch_size"], **fields})

    return made


@pytest.fixture
def in_git(tmp_path: Path, origin: Origin) -> Make:
    def made(**fields: Any) -> Repair:
        where = {"type": "git_file", "remote": origin.url, "branch": "main", "path": "train.yaml"}
        return Repair(tmp_path, {**where, "keys": ["batch_size"], **fields})

    return made


@pytest.fixture
def proposed(in_git: Make, hub: Hub, tmp_path: Path) -> Make:
    return lambda **fields: in_git(github=hub.app(tmp_path, **fields))


class TestOnDisk:
    def test_changed_run_again_and_verified(self, on_disk: Make, jobs: JobServer, tmp_path: Path) -> None:
        repair = on_disk(rerun=jobs.job())
        assert [step.does["act"] for step in repair.plan.steps] == ["replace", "rerun"]
        assert repair.run() == Verified(says="run run-1 succeeded")
        assert (tmp_path / "train.yaml").read_text() == AFTER
        assert (tmp_path / "train.yaml").stat().st_mode & 0o777 == 0o640
        assert repair.undo() == Undone(says="train.yaml is as it was, byte for byte")
        assert (tmp_path / "train.yaml").read_text() == BEFORE

    def test_a_run_that_fails_disproves_it(self, on_disk: Make, jobs: JobServer) -> None:
        jobs.fail = 1
        repair = on_disk(rerun=jobs.job())
        repair.run()
        until(lambda: not isinstance(repair.look(), Pending))
        assert repair.look() == Disproved(says="run run-1 failed")

    def test_without_a_job_to_run_nobody_claims_that_it_helped(self, on_disk: Make) -> None:
        looked = on_disk().run()
        assert isinstance(looked, HandedOver)
        assert "nobody has seen whether it helped; the incident stays open" in looked.says

    def test_a_file_that_changed_meanwhile_is_left_alone(self, on_disk: Make, tmp_path: Path) -> None:
        repair, path = on_disk(), tmp_path / "train.yaml"
        kept = repair.keep()
        path.write_text("batch_size: 64\n")
        with pytest.raises(NeedsHuman, match="changed since the plan was made"):
            repair.act(0)
        repair.kept = kept
        assert isinstance(repair.recall(0), Unclear)
        assert isinstance(repair.undo(), CannotUndo)
        assert path.read_text() == "batch_size: 64\n"

    def test_without_its_copy_nothing_is_done(self, on_disk: Make, tmp_path: Path) -> None:
        repair = on_disk()
        kept = repair.keep()
        (copy,) = (tmp_path / "keep").iterdir()
        copy.write_text("cut")
        with pytest.raises(NeedsHuman, match="copy of the former files was changed"):
            repair.strategy.execute(repair.plan, repair.plan.steps[0], "k", kept)
        assert (tmp_path / "train.yaml").read_text() == BEFORE

    def test_a_job_that_cannot_be_asked_now_is_asked_later(self, on_disk: Make, jobs: JobServer) -> None:
        repair = on_disk(rerun=jobs.job())
        repair.act(0)
        jobs.refuse = 1
        with pytest.raises(RetryLater):
            repair.act(1)
        assert repair.act(1).says == "began run run-1"


class TestInGit:
    def test_committed_run_again_and_verified(self, in_git: Make, origin: Origin, jobs: JobServer) -> None:
        repair = in_git(rerun=jobs.job())
        assert [step.does["act"] for step in repair.plan.steps] == ["commit", "rerun"]
        assert isinstance(repair.run(), Verified)
        assert origin.text("train.yaml") == AFTER
        assert origin.messages()[0].strip() == (
            "batch_size from 32 to 16\n\nMendline-Incident: inc_1\nMendline-Key: key_0"
        )
        first = repair.undo()
        assert (first, repair.undo()) == (
            Undone(says="train.yaml on main is as it was, byte for byte"),
            first,
        )
        assert origin.text("train.yaml") == BEFORE
        assert len(origin.messages()) == 3

    def test_others_may_commit_elsewhere_meanwhile(self, in_git: Make, origin: Origin) -> None:
        repair = in_git()
        theirs = origin.commit({"other.txt": "theirs\n"}, "theirs")
        repair.run()
        assert origin.git("rev-parse", "main^").strip() == theirs
        origin.commit({"other.txt": "more\n"}, "more")
        assert isinstance(repair.recall(0), Receipt)
        assert isinstance(repair.undo(), Undone)
        assert (origin.text("train.yaml"), origin.text("other.txt")) == (BEFORE, "more\n")

    def test_a_file_that_others_changed_is_left_alone(self, in_git: Make, origin: Origin) -> None:
        repair = in_git()
        repair.kept = repair.keep()
        origin.commit({"train.yaml": "batch_size: 8\n"}, "theirs")
        with pytest.raises(NeedsHuman, match="changed since the plan was made"):
            repair.act(0)
        assert repair.recall(0) == NotDone()
        assert repair.undo() == Undone(says="nothing of this repair is on main")
        repair.receipts = [Receipt(step=0, data={"commit": origin.first}, says="as if it had been ours")]
        assert isinstance(repair.undo(), CannotUndo)
        assert origin.text("train.yaml") == "batch_size: 8\n"

    def test_a_push_that_loses_is_tried_again(self, in_git: Make, origin: Origin, tmp_path: Path) -> None:
        repair = in_git()
        theirs = origin.commit({"other.txt": "theirs\n"}, "theirs", branch="side", base=origin.first)
        # While ours is on its way, theirs arrives: the first push finds the branch elsewhere.
        hook = origin.folder / "hooks" / "pre-receive"
        hook.write_text(
            f"#!/bin/sh\nenv -u GIT_QUARANTINE_PATH git update-ref refs/heads/main {theirs}\nrm {hook}\n"
        )
        hook.chmod(0o755)
        with pytest.raises(RetryLater, match="moved meanwhile"):
            repair.act(0)
        repair.act(0)
        assert origin.text("train.yaml") == AFTER
        assert origin.git("rev-parse", "main^").strip() == theirs
        assert origin.keys() == ["key_0"]

    def test_what_another_repair_committed_is_not_taken_back(self, in_git: Make, origin: Origin) -> None:
        first, second = in_git(), in_git()
        second.incident, second.key = "inc_2", "other"
        second.made = second.again()
        second.kept = second.keep()
        first.run()
        with pytest.raises(NeedsHuman, match="changed since the plan was made"):
            second.act(0)
        assert isinstance(second.undo(), Undone)
        assert origin.text("train.yaml") == AFTER

    def test_a_remote_that_is_gone_is_told_plainly(self, in_git: Make, origin: Origin) -> None:
        repair = in_git()
        repair.run()
        origin.folder.rename(origin.folder.with_name("away.git"))
        assert isinstance(repair.recall(0), Unclear)
        assert isinstance(repair.undo(), CannotUndo)
        assert isinstance(repair.again(), NotApplicable)


class TestProposed:
    def test_a_pull_request_is_opened_and_handed_over(self, proposed: Make, origin: Origin, hub: Hub) -> None:
        repair = proposed()
        assert [step.does["act"] for step in repair.plan.steps] == ["branch", "propose"]
        looked = repair.run()
        assert looked == HandedOver(
            says="pull request #1 in acme/shop is open and no checks are registered for it; "
            "a person merges it, and the incident stays open"
        )
        (pull,) = hub.open
        assert (pull["title"], pull["base"]["ref"]) == ("batch_size from 32 to 16", "main")
        assert "incident inc_1" in pull["body"]
        assert origin.text("train.yaml", pull["head"]["ref"]) == AFTER
        assert origin.text("train.yaml") == BEFORE
        assert origin.keys(pull["head"]["ref"]) == ["key_0"]
        repair.incident = "inc_2"
        assert repair.again() == NotApplicable(
            because=f"the same is proposed already, on {pull['head']['ref']}"
        )

    def test_no_job_is_run_for_what_is_not_in_force(
        self, in_git: Make, hub: Hub, jobs: JobServer, tmp_path: Path
    ) -> None:
        assert isinstance(in_git(github=hub.app(tmp_path), rerun=jobs.job()).run(), HandedOver)
        assert jobs.acted == 0

    def test_its_checks_decide(self, proposed: Make, hub: Hub) -> None:
        repair = proposed(checks=["unit", "lint"])
        assert repair.run() == Pending(says="pull request #1 in acme/shop: unit, lint has not ended")
        hub.ran = {"unit": "success", "lint": ""}
        assert repair.look() == Pending(says="pull request #1 in acme/shop: lint has not ended")
        hub.ran["lint"] = "success"
        looked = repair.look()
        assert isinstance(looked, HandedOver)
        assert "its checks succeeded" in looked.says
        hub.ran["lint"] = "timed_out"
        assert repair.look() == Disproved(says="pull request #1 in acme/shop: lint ended with timed_out")

    def test_withdrawn_it_leaves_nothing(self, proposed: Make, origin: Origin, hub: Hub) -> None:
        repair = proposed()
        repair.run()
        first = repair.undo()
        assert (first, repair.undo()) == (repair.undo(), first)
        assert isinstance(first, Undone)
        assert (hub.open, origin.branches, hub.did["close"]) == ([], {"main"}, 1)
        # The same may be proposed anew, and is not taken for the former one.
        again = Repair(
            repair.folder, repair.targets.all()["shop/job/training"].connection.model_dump(mode="json")
        )
        again.key = "another"  # as every repair has; the same key in the same second is the same commit
        assert again.recall(1) == NotDone()
        again.run()
        assert (len(hub.open), hub.did["open"]) == (1, 2)

    def test_what_people_did_with_it_stands(self, proposed: Make, origin: Origin, hub: Hub) -> None:
        repair = proposed()
        repair.run()
        (pull,) = hub.open
        origin.commit({"train.yaml": "batch_size: 8\n"}, "better", branch=pull["head"]["ref"])
        assert "somebody else works on" in repair.look().says
        assert isinstance(repair.undo(), CannotUndo)
        assert len(hub.open) == 1

    def test_merged_by_a_person_it_is_theirs(self, proposed: Make, origin: Origin, hub: Hub) -> None:
        repair = proposed()
        repair.run()
        hub.merge(1)
        assert repair.look() == HandedOver(
            says="pull request #1 in acme/shop was merged; whether it helped, the next run will tell"
        )
        assert repair.undo() == CannotUndo(because="pull request #1 was merged by a person")
        origin.git("update-ref", "-d", f"refs/heads/{repair.plan.steps[0].does['branch']}")
        assert repair.undo() == CannotUndo(because="pull request #1 was merged by a person")

    def test_closed_by_a_person_it_is_disproved(self, proposed: Make, hub: Hub) -> None:
        repair = proposed()
        repair.run()
        hub.pulls[0]["state"] = "closed"
        assert repair.look() == Disproved(says="pull request #1 in acme/shop was closed without being merged")

    def test_an_answer_that_was_lost_opens_no_second_one(self, proposed: Make, hub: Hub) -> None:
        repair = proposed()
        repair.act(0)
        hub.faults = [None, "drop"]  # looking for it; opening it
        with pytest.raises(RetryLater):
            repair.act(1)
        assert isinstance(repair.recall(1), Receipt)
        assert repair.act(1).data["number"] == 1
        assert hub.did["open"] == 1

    def test_a_limit_says_how_long_to_wait(self, proposed: Make, hub: Hub) -> None:
        repair = proposed()
        repair.act(0)
        hub.faults = [(403, {"Retry-After": "30"})]
        with pytest.raises(RetryLater) as later:
            repair.act(1)
        assert later.value.after == timedelta(seconds=30)
        hub.faults = [(404, {})]
        with pytest.raises(NeedsHuman, match="not installed on this repository"):
            repair.act(1)

    def test_half_of_it_is_found_and_undone(self, proposed: Make, origin: Origin, hub: Hub) -> None:
        repair = proposed()
        repair.kept = repair.keep()
        assert repair.recall(0) == NotDone()
        repair.act(0)
        assert isinstance(repair.recall(0), Receipt)
        assert repair.recall(1) == NotDone()
        assert isinstance(repair.undo(), Undone)
        assert (origin.branches, hub.did["open"]) == ({"main"}, 0)

    def test_a_branch_of_somebody_else_is_not_touched(self, proposed: Make, origin: Origin) -> None:
        repair = proposed()
        repair.kept = repair.keep()
        branch = repair.plan.steps[0].does["branch"]
        theirs = origin.commit({"other.txt": "theirs"}, "theirs", branch=branch, base=origin.first)
        with pytest.raises(NeedsHuman, match="with something else in it"):
            repair.act(0)
        assert isinstance(repair.undo(), Undone)
        assert origin.tip(branch) == theirs

    def test_what_another_repair_proposed_is_not_withdrawn(self, proposed: Make, hub: Hub) -> None:
        first, second = proposed(), proposed()
        second.incident, second.key = "inc_2", "other"
        second.made = second.again()
        second.kept = second.keep()
        first.run()
        with pytest.raises(NeedsHuman, match="with something else in it"):
            second.act(0)
        assert second.recall(1) == NotDone()
        assert isinstance(second.undo(), Undone)
        assert len(hub.open) == 1
        assert isinstance(first.undo(), Undone)
        assert hub.open == []


class TestReduceBatchSize:
    @pytest.mark.parametrize(
        ("text", "params", "says"),
        [
            ("batch_size: 1\n", {}, "the batch size is 1 already"),
            ("batch_size: 0\n", {}, "holds no batch size"),
            ("batch_size: 16.0\n", {}, "holds no batch size"),
            ("batch_size: true\n", {}, "holds no batch size"),
            ("batch_size: auto\n", {}, "holds no batch size"),
            ("epochs: 3\n", {}, "holds no batch size"),
            ("batch_size: [\n", {}, "no readable yaml"),
            (BEFORE, {"batch_size": "epochs"}, "the target's `keys` do not name epochs"),
            (BEFORE, {"gradient_checkpointing": "gc"}, "the target's `keys` do not name gc"),
        ],
    )
    def test_refuses(self, tmp_path: Path, text: str, params: dict[str, str], says: str) -> None:
        (tmp_path / "t.yaml").write_text(text)
        where = {"type": "config_file", "path": str(tmp_path / "t.yaml"), "keys": ["batch_size"]}
        made = Repair(tmp_path, where, **params).made
        assert isinstance(made, NotApplicable)
        assert says in made.because

    @pytest.mark.parametrize(
        ("text", "after", "summary"),
        [
            ("batch_size: 7\n", "batch_size: 3\ngc: true\n", "batch_size from 7 to 3, gc on"),
            ("batch_size: 2\ngc: true\n", "batch_size: 1\ngc: true\n", "batch_size from 2 to 1"),
            ("batch_size: 1\ngc: false\n", "batch_size: 1\ngc: true\n", "gc on"),
        ],
    )
    def test_halves_to_one_and_turns_checkpointing_on(
        self, tmp_path: Path, text: str, after: str, summary: str
    ) -> None:
        path = tmp_path / "t.yaml"
        path.write_text(text)
        where = {"type": "config_file", "path": str(path), "keys": ["batch_size", "gc"]}
        repair = Repair(tmp_path, where, gradient_checkpointing="gc")
        assert repair.plan.summary == f"in {path}: {summary}"
        repair.run()
        assert path.read_text() == after


class TestOpenFixPullRequest:
    @pytest.fixture
    def fix(self, origin: Origin, hub: Hub, tmp_path: Path) -> Make:
        def made(*edits: dict[str, Any], **params: Any) -> Repair:
            where = {"type": "git_repository", "remote": origin.url, "branch": "main"}
            files = ["train.yaml", "other.txt", "gone.txt"]
            connection = {**where, "files": files, "github": hub.app(tmp_path)}
            return Repair(tmp_path, connection, OpenFixPullRequest, edits=edits, **params)

        return made

    def test_several_edits_are_one_commit(self, fix: Make, origin: Origin, hub: Hub) -> None:
        repair = fix(
            {"file": "train.yaml", "key": "epochs", "value": 4},
            {"file": "train.yaml", "find": "per device", "replace": "on each device"},
            {"file": "other.txt", "find": "x", "replace": "y"},
            title="Train longer",
        )
        assert isinstance(repair.run(), HandedOver)
        (pull,) = hub.open
        assert pull["title"] == "Train longer"
        assert (
            origin.text("train.yaml", pull["head"]["sha"]) == "batch_size: 32  # on each device\nepochs: 4\n"
        )
        assert origin.text("other.txt", pull["head"]["sha"]) == "y\n"
        assert origin.git("rev-list", f"main..{pull['head']['sha']}").split() == [pull["head"]["sha"]]

    @pytest.mark.parametrize(
        ("edits", "says"),
        [
            ([], "proposes a change"),
            ([{"file": "secret.txt", "find": "a", "replace": "b"}], "`files` do not name secret.txt"),
            ([{"file": "gone.txt", "find": "a", "replace": "b"}], "gone.txt is no file"),
            ([{"file": "train.yaml", "find": "e", "replace": "b"}], "and must stand once"),
            ([{"file": "train.yaml", "find": "zz", "replace": "b"}], "stands 0 times"),
            ([{"file": "other.txt", "key": "a", "value": 1}], "settings are changed in .yaml"),
            ([{"file": "train.yaml", "key": "api_key", "value": "x"}], "sounds like a secret"),
            ([{"file": "train.yaml", "key": "epochs", "value": 3}], "everything is so already"),
        ],
    )
    def test_refuses(self, fix: Make, edits: list[dict[str, Any]], says: str) -> None:
        made = fix(*edits).made
        assert isinstance(made, NotApplicable)
        assert says in made.because

    @pytest.mark.parametrize(
        "edit",
        [
            {"file": "a"},
            {"file": "a", "key": "b"},
            {"file": "a", "find": "b"},
            {"file": "a", "key": "b", "value": 1, "find": "c", "replace": "d"},
            {"file": "a", "key": "b", "value": [1]},
            {"key": "b", "value": 1},
        ],
    )
    def test_an_edit_says_one_thing(self, edit: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            FixParams.model_validate({"edits": [edit]})
