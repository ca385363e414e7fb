"""Crash: ends this process at a point of a repair, for the fault suite."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from app.remediation.acts import Point


def crash_at(setting: str, data_dir: Path) -> Callable[[Point, str], None]:
    """For the fault suite: kills this process the first time that the named point, or `any`, is reached."""
    if not setting:
        return lambda point, strategy: None
    wanted_point, _, wanted_strategy = setting.partition(":")
    mark = data_dir / "crashed"

    def reach(point: Point, strategy: str) -> None:
        if wanted_point in ("any", point) and wanted_strategy in ("", strategy) and not mark.exists():
            mark.write_text(f"{point}:{strategy} {time.time()}")
            os.kill(os.getpid(), signal.SIGKILL)

    return reach
