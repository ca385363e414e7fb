"""Action blocks: read in order, and each kind of mistake found at its line."""

from pathlib import Path

import pytest

from app.knowledge.playbook import OnError, Result, Retry, When, nearest, unregistered
from app.knowledge.runbook import Runbook, read_runbook
from tests.knowledge.test_runbook import GOOD, PARAMS, TAXONOMY, write

BLOCKS = """
Two things, one after the other.

```action
strategy: retry
params: {tries: 1}
```

```action
strategy: rollback
target: warehouse
when: {type: network_timeout, environment: [staging, production], results: {1: [verified, skipped]}}
retry: {times: 2, wait: 30}
timeout: 600
on_error: ask
```
"""
TEXT = (
    GOOD.replace("strategy: retry", "strategy: playbook")
    .replace("params: {tries: 2}\n", "")
    .replace("approval: auto", "approval: one_person")
    .replace("Run it again.\n", BLOCKS)
)


def read(folder: Path, text: str) -> tuple[Runbook | None, list[str]]:
    runbook, wrong = read_runbook(write(folder, text), TAXONOMY, PARAMS)
    assert (runbook is None) == bool(wrong)
    return runbook, [str(mistake).removeprefix("load-times-out.md:") for mistake in wrong]


def line(text: str, part: str) -> int:
    return next(number for number, one in enumerate(text.split("\n"), 1) if part in one)


def test_the_actions_are_read_in_their_order(tmp_path: Path) -> None:
    runbook, wrong = read(tmp_path, TEXT)
    assert wrong == []
    assert runbook is not None
    first, second = runbook.actions
    assert (first.strategy, first.params, first.target, first.on_error) == ("retry", {"tries": 1}, "", "undo")
    assert second.when == When(
        type=("network_timeout",),
        environment=("staging", "production"),
        results={1: (Result.VERIFIED, Result.SKIPPED)},
    )
    assert (second.retry, second.timeout, second.on_error) == (Retry(times=2, wait=30), 600, OnError.ASK)
    assert TEXT.split("\n")[second.line - 1] == "strategy: rollback"


def test_a_runbook_without_actions_is_told_as_before(tmp_path: Path) -> None:
    runbook, _ = read(tmp_path, GOOD)
    assert runbook is not None
    assert "actions" not in runbook.model_dump()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "strategy: rollback",
            "strategy: rolback",
            "no strategy 'rolback' is registered; did you mean 'rollback'?",
        ),
        ("strategy: rollback", "strategy: escalate_to_human", "telling a person is what follows"),
        ("on_error: ask", "on_eror: ask", "unknown key 'on_eror'; did you mean 'on_error'?"),
        ("on_error: ask", "on_error: undoo", "no such value 'undoo'; did you mean 'undo'?"),
        ("{tries: 1}", "{trys: 1}", "params.trys: Extra inputs are not permitted; did you mean 'tries'?"),
        ("{tries: 1}", "{tries: 9}", "params.tries: Input should be less than or equal to 5"),
        ("type: network_timeout,", "type: netwrk_timeout,", "did you mean 'network_timeout'?"),
        ("environment:", "enviroment:", "unknown key 'enviroment'; did you mean 'environment'?"),
        ("1: [verified", "2: [verified", "results.2 is not an action before this one"),
        ("[verified, skipped]", "[verifed]", "no such value 'verifed'; did you mean 'verified'?"),
        ("times: 2", "times: 20", "retry.times: Input should be less than or equal to 5"),
        ("wait: 30", "wiat: 30", "unknown key 'wiat'; did you mean 'wait'?"),
        ("timeout: 600", "timeout: -1", "timeout: Input should be greater than 0"),
        ("target: warehouse", "target: Not This", "a registered target's key (system/kind/name) or a name"),
        ("timeout: 600", "timeout: [", "not YAML: "),
    ],
)
def test_a_mistake_has_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    _, wrong = read(tmp_path, text)
    place = line(text, new) + (new.endswith("["))  # YAML sees on the next line that a bracket is not closed
    assert any(one.startswith(f"{place}: action ") and expected in one for one in wrong), wrong


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("strategy: playbook", "strategy: retry", "the action blocks only run with `strategy: playbook`"),
        (BLOCKS, "Run it again.\n", "a playbook has at least one block"),
        ("risk: low", "params: {tries: 1}\nrisk: low", "the parameters of a playbook stand in its actions"),
        ("approval: one_person", "approval: auto", "rollback has high risk and needs at least one_person"),
        (
            "```action\nstrategy: retry",
            "```acton\nstrategy: retry",
            "no block is called 'acton'; did you mean",
        ),
        ("on_error: ask\n```", "on_error: ask\n", "the action's block is not closed"),
        ("strategy: retry\nparams: {tries: 1}", "- a\n- list", "an action is a mapping of keys to values"),
    ],
)
def test_what_is_wrong_with_the_whole(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in TEXT
    _, wrong = read(tmp_path, TEXT.replace(old, new, 1))
    assert any(expected in one for one in wrong), wrong


def test_a_target_that_nobody_registered_is_found(tmp_path: Path) -> None:
    runbook, _ = read(tmp_path, TEXT)
    assert runbook is not None
    assert unregistered(runbook.actions, ["shop/table/orders"], ["warehouse"]) == []
    ((place, says),) = unregistered(runbook.actions, ["shop/table/orders"], ["warehouses"])
    assert place == runbook.actions[1].line
    assert says == "action 2: no target 'warehouse' is registered; did you mean 'warehouses'?"


class TestWhen:
    @pytest.mark.parametrize(
        ("when", "unmet"),
        [
            (When(), ""),
            (When(type=("a", "b")), ""),
            (When(type=("b",)), "the type is a, not b"),
            (When(environment=("production",)), "the environment is staging, not production"),
            (When(confidence_at_least=0.8), ""),
            (When(confidence_at_least=0.9), "the confidence 0.80 is under 0.9"),
            (When(confidence_below=0.8), "the confidence 0.80 is not under 0.8"),
            (When(confidence_below=0.81), ""),
        ],
    )
    def test_what_is_known_before(self, when: When, unmet: str) -> None:
        assert when.unmet("a", "staging", 0.8) == unmet

    def test_former_results(self) -> None:
        when = When(results={1: (Result.VERIFIED,), 2: (Result.FAILED, Result.SKIPPED)})
        assert when.unmet_by({1: Result.VERIFIED, 2: Result.FAILED}) == ""
        assert when.unmet_by({1: Result.VERIFIED}) == "", "an action that was left out counts as skipped"
        assert when.unmet_by({1: Result.FAILED}) == "action 1 was failed, not verified"


def test_the_nearest_word_or_all() -> None:
    assert nearest("undoo", OnError) == "; did you mean 'undo'?"
    assert nearest("zzz", ["a", "b"]) == "; known are a, b"
