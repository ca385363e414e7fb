"""In Git: a change committed on its branch, or proposed from a branch of its own; each taken back again.

A commit's trailers say which step of which repair it is, and for which incident. A pull request is found
by its branch and the commit at its head. What others put there is never touched.
"""

from collections.abc import Sequence

from app.decision.plan import Step
from app.remediation.edit import as_planned, at_tip, digests, kept, planned
from app.remediation.strategy import (
    CannotUndo,
    Disproved,
    HandedOver,
    NeedsHuman,
    Pending,
    Receipt,
    Snapshot,
    Undone,
)
from app.systems import git
from app.systems.connections import GitBranch
from app.systems.git import Clone
from app.systems.github import Github, PullRequest


def _github(connection: GitBranch) -> Github:
    assert connection.github is not None
    return Github(connection.github)


def _ours(clone: Clone, step: Step, receipts: Sequence[Receipt]) -> bool:
    """Whether what was fetched holds our commit: by the receipts, or for want of one by the incident."""
    told = {receipt.data["commit"] for receipt in receipts if "commit" in receipt.data}
    return bool(told) or bool(clone.find(step.does["incident"], git.INCIDENT))


def committed(step: Step, commit: str) -> Receipt:
    """The receipt of a step that left this commit."""
    says = f"committed {commit[:10]}: {step.does['message']}"
    return Receipt(step=step.index, data={"commit": commit}, says=says)


def commit_change(connection: GitBranch, step: Step, key: str) -> Receipt:
    """Commits the planned change on the branch, once per key. Raises FarSideError, NeedsHuman."""
    with git.opened(connection) as clone:
        if commit := clone.find(key):
            return committed(step, commit)
        after = as_planned(step, at_tip(connection, clone, list(step.does["files"])))
        commit = clone.commit(clone.tip, after, git.message(step.does["message"], step.does["incident"], key))
        clone.push(commit, connection.branch, clone.tip)
        return committed(step, commit)


@git.again_if_moved
def take_back(
    connection: GitBranch, step: Step, snapshot: Snapshot, receipts: Sequence[Receipt]
) -> Undone | CannotUndo:
    """Commits the former files, if they are still as our commit left them. Raises FarSideError."""
    names = ", ".join(step.does["files"])
    with git.opened(connection) as clone:
        now = digests(at_tip(connection, clone, list(step.does["files"])))
        if now != planned(step, 0):
            if not _ours(clone, step, receipts):
                return Undone(says=f"nothing of this repair is on {connection.branch}")
            if now != planned(step, 1):
                return CannotUndo(because=f"somebody else changed {names} on {connection.branch} since")
            says = git.message(f"Take back: {step.does['message']}", step.does["incident"])
            back = clone.commit(clone.tip, kept(step, snapshot), says)
            clone.push(back, connection.branch, clone.tip)
    return Undone(says=f"{names} on {connection.branch} is as it was, byte for byte")


def push_branch(connection: GitBranch, step: Step, key: str) -> Receipt:
    """Commits the planned change on a new branch, once per key. Raises FarSideError, NeedsHuman."""
    branch = step.does["branch"]
    with git.opened(connection, branch) as there:
        if there.tip:
            if there.find(key) == there.tip:
                return committed(step, there.tip)
            raise NeedsHuman(f"there is a branch {branch} already, with something else in it")
    with git.opened(connection, depth=1) as clone:
        after = as_planned(step, at_tip(connection, clone, list(step.does["files"])))
        commit = clone.commit(clone.tip, after, git.message(step.does["message"], step.does["incident"], key))
        clone.push(commit, branch, "")
        return committed(step, commit)


def opened(step: Step, request: PullRequest) -> Receipt:
    """The receipt of a step that left this pull request."""
    says = f"pull request #{request.number} proposes: {step.does['message']}"
    data = {"number": request.number, "commit": request.head.sha}
    return Receipt(step=step.index, data=data, says=says)


def find_request(connection: GitBranch, step: Step) -> PullRequest | None:
    """The pull request from our branch, as long as our commit is its head."""
    branch = step.does["branch"]
    with git.opened(connection, branch, depth=1) as clone:
        ours = clone.tip and clone.find(step.does["incident"], git.INCIDENT) == clone.tip
        return _github(connection).find(branch, clone.tip) if ours else None


def open_request(connection: GitBranch, step: Step) -> Receipt:
    """Opens a pull request from our branch, unless there is one. Raises FarSideError."""
    found = find_request(connection, step)
    if found is not None:
        return opened(step, found)
    body = (
        f"{step.does['message']}\n\nProposed by Mendline for incident {step.does['incident']}. "
        "Nothing is merged without you; the incident stays open until its own signal recovers."
    )
    title = step.does["message"].partition("\n")[0][:120]
    return opened(step, _github(connection).open(step.does["branch"], connection.branch, title, body))


def review(connection: GitBranch, receipt: Receipt) -> Pending | Disproved | HandedOver:
    """How the proposal fares: by the registered checks, and never as recovered, for it is not in force."""
    assert connection.github is not None
    github, number, commit = _github(connection), receipt.data["number"], receipt.data["commit"]
    request = github.get(number)
    named = f"pull request #{number} in {connection.github.repository}"
    if request.merged_at is not None:
        return HandedOver(says=f"{named} was merged; whether it helped, the next run will tell")
    if request.state == "closed":
        return Disproved(says=f"{named} was closed without being merged")
    if request.head.sha != commit:
        return HandedOver(says=f"somebody else works on {named} by now; it is theirs")
    waiting = []
    for name in connection.github.checks:
        runs = github.checks(commit, name)
        if not runs or any(run.status != "completed" for run in runs):
            waiting.append(name)
        elif failed := [run for run in runs if run.conclusion not in ("success", "neutral", "skipped")]:
            return Disproved(says=f"{named}: {name} ended with {failed[0].conclusion}")
    if waiting:
        return Pending(says=f"{named}: {', '.join(waiting)} has not ended")
    proven = "its checks succeeded" if connection.github.checks else "no checks are registered for it"
    return HandedOver(says=f"{named} is open and {proven}; a person merges it, and the incident stays open")


def withdraw(connection: GitBranch, step: Step, receipts: Sequence[Receipt]) -> Undone | CannotUndo:
    """Closes the pull request and deletes the branch, if they are ours and nobody else put anything there."""
    github, branch = _github(connection), step.does["branch"]
    with git.opened(connection, branch) as clone:
        if clone.tip:
            if not _ours(clone, step, receipts):
                return Undone(says=f"nothing of this repair is on {branch}")
            if clone.find(step.does["incident"], git.INCIDENT) != clone.tip:
                return CannotUndo(because=f"somebody else worked on {branch} since")
            request = github.find(branch, clone.tip)
        else:
            numbers = [receipt.data["number"] for receipt in receipts if "number" in receipt.data]
            request = github.get(numbers[0]) if numbers else None
        if request is not None and request.merged_at is not None:
            return CannotUndo(because=f"pull request #{request.number} was merged by a person")
        if request is not None and request.state == "open":
            github.close(request.number)
        if clone.tip:
            clone.push("", branch, clone.tip)
    return Undone(says=f"there is no branch {branch} and no open pull request from it")
