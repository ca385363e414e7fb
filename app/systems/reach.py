"""Reach: tries a registered connection without changing anything."""

import re
import socket

import httpx

from app.systems import commands, files, process, sql
from app.systems.connections import (
    Connection,
    Credential,
    DataFile,
    Grant,
    HttpJob,
    SqlTable,
    SupervisedProcess,
)
from app.systems.far_side import FarSideError
from app.systems.http import JobOverHttp, place


def reach(connection: Connection) -> list[str]:
    """What was found, in words. Raises FarSideError when it cannot be reached as it is registered."""
    match connection:
        case HttpJob():
            return _job(connection)
        case SupervisedProcess():
            can = "can" if process.can_start(connection) else "cannot"
            return [process.health(connection).says, f"its start command {can} be found"]
        case DataFile():
            contents = files.read(connection)
            problems = files.problems(contents, connection.columns)
            return [f"{len(contents.frame):,} rows", *(problems or ("it meets its schema",))]
        case SqlTable():
            with sql.reading(connection) as table:
                return [f"{connection.table} has the columns {', '.join(table.columns)}"]
        case Credential():
            return _credential(connection)
        case Grant():
            rights = [(r, commands.run(connection.check, right=r).yes) for r in connection.rights]
            return [
                *(f"{right} is {'' if there else 'not '}in force" for right, there in rights),
                *_job(connection.rerun),
            ]
    return ["it cannot be tried without changing something"]


def _job(job: HttpJob) -> list[str]:
    if job.lookup:
        JobOverHttp(job).lookup("mendline-target-check", "none")
        return [f"{place(job.lookup)} answers"]
    job.bearer()
    url = httpx.URL(job.run)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.host, port), job.timeout).close()
    except OSError as error:
        raise FarSideError(f"{place(job.run)} was not reached ({type(error).__name__})", again=True) from None
    return [f"{place(job.run)} takes connections; whether it would run the job was not tried"]


def _credential(store: Credential) -> list[str]:
    told = commands.run(store.current)
    if not told.yes or not re.fullmatch(store.versions, told.out):
        raise FarSideError(f"{store.current.name} does not print the id of a version alone", again=False)
    works = "works" if commands.run(store.check).yes else "does not work"
    return [
        f"{store.current.name} knows the version in force",
        f"the credential {works}",
        *(_job(store.rerun) if store.rerun else ()),
    ]
