"""A playbook over three real targets: a dirty file, a table with repeated rows, a job that runs again."""

import shutil
from pathlib import Path
from typing import Any

from tests.scenes import DirtyFile, Job, RepeatedRows
from tests.server import Body, Mendline, install

ID = "measurements-arrived-broken"
NAME = f"playbook:{ID}"
MESSAGE = DirtyFile.message
RUNBOOK = f"""---
id: {ID}
types: [data_corruption, data_duplication, schema_mismatch, data_quality, network_timeout]
signals: ['{MESSAGE}']
strategy: playbook
risk: medium
approval: auto
owner: tests
reviewed: 2026-11-21
---
# A delivery of measurements arrived broken

## Symptoms

```
{MESSAGE}
{MESSAGE}
```

## Confirm

{MESSAGE}

## Fix

```action
strategy: run_data_validation_and_cleanup
```

```action
strategy: run_deduplication_script
target: orders
when: {{results: {{1: verified}}}}
```

```action
strategy: retry_with_exponential_backoff
target: load
params: {{tries: 1, first_delay: 0}}
retry: {{times: 1}}
timeout: 60
on_error: ON_ERROR
```

## Verify

The load succeeds.

## Roll back

As the strategies do.

## Escalate

To whoever runs the tests.

## Seen in

Nothing yet.
"""


def install_with_playbook(folder: Path, on_error: str = "undo", **settings: Any) -> Mendline:
    """An installation whose knowledge has the playbook too."""
    plain = install(folder, **settings)
    knowledge = folder / "knowledge"
    shutil.copytree(plain.knowledge, knowledge)
    (knowledge / "runbooks" / f"{ID}.md").write_text(RUNBOOK.replace("ON_ERROR", on_error))
    plain.knowledge = knowledge
    plain.settings["knowledge__folder"] = knowledge
    return plain


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
