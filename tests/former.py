"""The engine of a former version, as far as it left anything: workflows that were begun and are not over.

`main` runs in a process of its own: it begins what it is told, `NAME ID ARGUMENT…` in each of its arguments, and
kills itself.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

from app.settings import read_settings
from app.wiring import engine_url

VERSION = "1"


def main() -> None:
    """Begins them and is gone."""
    settings = read_settings()
    DBOS(
        config=DBOSConfig(
            name="mendline",
            system_database_url=engine_url(settings),
            application_version=VERSION,
            executor_id=settings.pipeline.executor,
            log_level="WARNING",
            run_migrations=True,
        )
    )

    @DBOS.workflow(name="heal")
    async def heal(incident_id: str, episode: int) -> None:
        await asyncio.sleep(3600)

    @DBOS.workflow(name="repair")
    async def repair(remediation_id: str) -> str:
        await asyncio.sleep(3600)
        return remediation_id

    known: dict[str, Any] = {"heal": heal, "repair": repair}
    DBOS.launch()
    for told in sys.argv[1:]:
        name, id_, *given = told.split()
        with SetWorkflowID(id_):
            DBOS.start_workflow(known[name], *(int(one) if one.isdigit() else one for one in given))
    os.kill(os.getpid(), signal.SIGKILL)
