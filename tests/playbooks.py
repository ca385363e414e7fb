"""A playbook over three real targets: a dirty file, a table with repeated rows, a job that runs again."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.scenes import DirtyFile, Job, RepeatedRows
from tests.server import Body, Mendline, install

ID = "measurements-arrived-broken"
NAME = f"playbook:{ID}"
MESSAGE = DirtyFile.message
TEXT = """---
id: ID
types: TYPES
signals: ['MESSAGE']
strategy: playbook
risk: RISK
approval: APPROVAL
owner: tests
reviewed: 2026-11-21
---
# A playbook of the tests

## Symptoms

```
MESSAGE
MESSAGE
```

## Confirm

MESSAGE

## Fix

ACTIONS
## Verify

The load succeeds.

## Roll back

As the strategies do.

## Escalate

To whoever runs the tests.

## Seen in

Nothing yet.
"""
ACTIONS = (
    "strategy: run_data_validation_and_cleanup",
    "strategy: run_deduplication_script\ntarget: orders\nwhen: {results: {1: verified}}",
    "strategy: retry_with_exponential_backoff\ntarget: load\nparams: {tries: 1, first_delay: 0}\n"
    "retry: {times: 1}\ntimeout: 60\non_error: ON_ERROR",
)
TYPES = ("data_corruption", "data_duplication", "schema_mismatch", "data_quality", "network_timeout")


def runbook(
    name: str, message: str, types: Sequence[str], actions: Sequence[str], risk: str = "medium"
) -> str:
    """A runbook whose playbook has these actions, and whose every word is the message's."""
    fix = "".join(f"```action\n{action}\n```\n\n" for action in actions)
    return (
        TEXT.replace("ID", name, 1)
        .replace("TYPES", f"[{', '.join(types)}]", 1)
        .replace("RISK", risk, 1)
        .replace("APPROVAL", "one_person" if risk == "high" else "auto", 1)
        .replace("MESSAGE", message)
        .replace("ACTIONS\n", fix)
    )


def install_with(folder: Path, name: str, text: str, **settings: Any) -> Mendline:
    """An installation whose knowledge has this runbook too."""
    plain = install(folder, **settings)
    knowledge = folder / "knowledge"
    shutil.copytree(plain.knowledge, knowledge)
    (knowledge / "runbooks" / f"{name}.md").write_text(text)
    plain.knowledge = knowledge
    plain.settings["knowledge__folder"] = knowledge
    return plain


def install_with_playbook(folder: Path, on_error: str = "undo", **settings: Any) -> Mendline:
    """An installation whose knowledge has the playbook of the chain below."""
    actions = [action.replace("ON_ERROR", on_error) for action in ACTIONS]
    return install_with(folder, ID, runbook(ID, MESSAGE, TYPES, actions), **settings)


class Chain:
    """The three targets, which the playbook acts on."""

    def __init__(self, folder: Path, fail: int = 0) -> None:
        self.file, self.rows = DirtyFile(folder / "file"), RepeatedRows(folder / "rows")
        self.job = Job(folder / "job", fail=fail)

    def register(self, site: Mendline) -> Body:
        """All three; the target that the event names."""
        self.rows.register(site, "orders")
        site.register("load", self.job.connection, self.job.strategy)
        return site.register(
            "measurements",
            self.file.connection,
            self.file.strategy,
            partners={"orders": "shop/table/orders", "load": "shop/http_job/load"},
        )

    def mended(self, kept: Path) -> None:
        """The first two were repaired; `kept` holds the backups of all parts."""
        self.file.mended(kept / "1.1")
        self.rows.mended(kept / "2.1")

    def as_before(self) -> None:
        self.file.as_before()
        self.rows.as_before()

    def close(self) -> None:
        self.job.close()
