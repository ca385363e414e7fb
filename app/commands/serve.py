"""serve, worker, setup, key, doctor: running the service."""

import contextlib
import importlib.metadata
import platform
import signal
import sys
import threading
from typing import Annotated

import typer
from rich.table import Table

from app import __version__
from app.commands.shown import as_json, console, quiet
from app.foundation import logging
from app.foundation.clock import SystemClock
from app.foundation.errors import Invalid, MendlineError
from app.people.person import Role
from app.settings import names, read_settings
from app.web.security import create_key, keys, revoke_key

key_app = typer.Typer(help="API keys.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(worker)
    app.command()(setup)
    app.command()(doctor)
    app.command()(version)
    app.add_typer(key_app, name="key")


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    first_key: Annotated[bool, typer.Option(help="Make and print an admin key when there is none.")] = False,
) -> None:
    """Serve the API and the pages, and repair, until Ctrl-C."""
    import socket

    import uvicorn

    from app.main import create_app
    from app.wiring import Service, open_store

    settings = read_settings()
    logging.configure(json=settings.log.json_lines and not sys.stderr.isatty(), level=settings.log.level)
    store = open_store(settings)
    listener = socket.socket(socket.AF_INET6 if ":" in (host or settings.web.host) else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host or settings.web.host, settings.web.port if port is None else port))
    except OSError as error:
        where = f"{host or settings.web.host}:{settings.web.port if port is None else port}"
        raise Invalid(f"cannot listen on {where}: {error.strerror}; choose another with --port") from None
    listener.listen(1024)
    address = f"http://{listener.getsockname()[0]}:{listener.getsockname()[1]}"
    if first_key:
        _print_first_key(store, address)
    service = Service(store)
    service.take_name()
    console.print(f"Mendline {__version__} serves on [bold]{address}[/] (Ctrl-C stops it)")
    sys.stdout.flush()
    app = create_app(service)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
        backlog=1024,
    )
    # uvicorn stops in order and then raises the signal again; by then it did what it was for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = uvicorn.Server(config)
    app.state.live.stopping = lambda: server.should_exit
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def worker(
    name: Annotated[str, typer.Argument(help="A name of its own, which it keeps over restarts.")],
) -> None:
    """Diagnose and repair beside `serve`, without listening, until Ctrl-C; needs Postgres."""
    from prometheus_client import start_http_server

    from app.wiring import Service, database_url, open_store

    if not 1 <= len(name) <= 200:
        raise Invalid("a worker's name has 1 to 200 characters")
    given = read_settings()
    settings = given.model_copy(
        update={"pipeline": given.pipeline.model_validate({**given.pipeline.model_dump(), "executor": name})}
    )
    if database_url(settings).startswith("sqlite"):
        raise Invalid("on SQLite one process does all the work; several need Postgres (MENDLINE_DB__URL)")
    logging.configure(json=settings.log.json_lines and not sys.stderr.isatty(), level=settings.log.level)
    service = Service(open_store(settings))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if settings.web.metrics_port:
        try:
            start_http_server(settings.web.metrics_port, settings.web.host, service.measure)
        except OSError as error:
            where = f"{settings.web.host}:{settings.web.metrics_port}"
            raise Invalid(f"cannot listen on {where}: {error.strerror}") from None
    service.start()
    console.print(f"Mendline {__version__} works as [bold]{name}[/] (Ctrl-C stops it)")
    sys.stdout.flush()
    stop.wait()
    service.close()


def _print_first_key(store: "Store", address: str) -> None:  # type: ignore[name-defined] # noqa: F821
    with store.database.writing() as session:
        if keys(session):
            return
        key = create_key(session, "admin", Role.ADMIN, store.clock.now())
    console.print(f"\nAdmin key (shown once): [bold]{key}[/]\n\nTry it:\n", soft_wrap=True)
    console.print(
        f"  curl -s {address}/api/v1/events -H 'Authorization: Bearer {key}' "
        "-H 'Content-Type: application/json' "
        '-d \'{"message": "connection to db.internal:5432 timed out", "source": "try"}\'\n',
        soft_wrap=True,
        markup=False,
    )


def setup() -> None:
    """Prepare everything that the first start would: database, embedding model, learning from the cases."""
    from app.wiring import build_brain, open_store

    settings = read_settings()
    logging.configure(json=False, level="WARNING")
    store = open_store(settings)
    with quiet.status("preparing") as status:
        build_brain(store, lambda says: status.update(says))
    console.print("ready")


@key_app.command("create")
def key_create(
    name: Annotated[str, typer.Argument(help="Whose key it is; shown in every record of what it did.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
) -> None:
    """Make an API key and print it, the only time that it can be seen."""
    from app.wiring import open_store

    if not 1 <= len(name) <= 100:
        raise Invalid("a key's name has 1 to 100 characters")
    store = open_store(read_settings())
    with store.database.writing() as session:
        key = create_key(session, name, role, SystemClock().now())
    print(key)  # noqa: T201


@key_app.command("revoke")
def key_revoke(name: str) -> None:
    """Make a key stop working, within two seconds."""
    from app.wiring import open_store

    store = open_store(read_settings())
    with store.database.writing() as session:
        revoke_key(session, name, SystemClock().now())
    console.print(f"revoked {name}")


@key_app.command("list")
def key_list() -> None:
    """List the keys' names and roles."""
    from app.wiring import open_store

    store = open_store(read_settings())
    table = Table("name", "role", "made", "revoked", box=None)
    with store.database.reading() as session:
        for row in keys(session):
            table.add_row(
                row.name, row.role, f"{row.created_at:%Y-%m-%d %H:%M}", "yes" if row.revoked_at else ""
            )
    console.print(table)


def doctor(as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the installation, and say what is wrong and how to mend it."""
    found: list[tuple[str, str, str]] = [("python", "ok", platform.python_version())]
    try:
        settings = read_settings()
        found.append(("settings", "ok", f"{len(names())} known"))
    except MendlineError as error:
        found.append(("settings", "wrong", "; ".join(f"{place}: {says}" for place, says in error.places)))
        return _report(found, as_json_)
    found += _check_parts(settings)
    return _report(found, as_json_)


def _check_parts(settings: "Settings") -> list[tuple[str, str, str]]:  # type: ignore[name-defined] # noqa: F821
    from app.knowledge.embed import read_encoder
    from app.wiring import open_store

    found: list[tuple[str, str, str]] = []
    try:
        store = open_store(settings)
        found.append(("database", "ok", store.database.engine.url.render_as_string(hide_password=True)))
    except Exception as error:
        return [("database", "wrong", f"{type(error).__name__}: {error}".split("\n", 1)[0])]
    try:
        found.append(("embedding model", "ok", read_encoder(store.knowledge).id))
    except Exception as error:
        found.append(("embedding model", "wrong", f"{type(error).__name__}: {error}"))
    books = store.shelf.read()
    state = "wrong" if books.mistakes else "ok"
    said = "".join(f"; {mistake}" for mistake in books.mistakes[:5])
    found.append(("runbooks", state, f"{len(books.books)} in force{said}"))
    targets = store.targets
    registered = len(targets.all())
    if targets.problem:
        said = "; ".join(f"{place}: {says}" for place, says in targets.problem.places)
        found.append(("targets", "wrong", f"{targets.problem.says}: {said}"))
    else:
        found.append(("targets", "ok", f"{registered} registered in {targets.path}"))
    for part, source in (
        ("policy", store.policy),
        ("freezes", store.freezes),
        ("people", store.directory),
    ):
        try:
            source.read()
            found.append((part, "ok", ""))
        except Invalid as error:
            said = "; ".join(f"{place}: {says}" for place, says in error.places)
            found.append((part, "wrong", f"{error.says}: {said}" if said else error.says))
    if not store.directory.last().channels and not settings.people.webhooks:
        says = f"nobody is told of anything: no channel in {store.directory.path}"
        found.append(("channels", "ok", says))
    if store.plugins.refused:
        found.append(("plugins", "wrong", "; ".join(store.plugins.refused)))
    elif settings.plugins.allow:
        found.append(("plugins", "ok", f"{', '.join(settings.plugins.allow)} loaded"))
    with store.database.reading() as session:
        known = len(keys(session))
    hint = "" if known else "; make one: mendline key create admin --role admin"
    found.append(("keys", "ok" if known else "wrong", f"{known}{hint}"))
    return found


def _report(found: list[tuple[str, str, str]], as_json_: bool) -> None:
    if as_json_:
        as_json([{"part": part, "state": state, "says": says} for part, state, says in found])
    else:
        table = Table(box=None, show_header=False)
        for part, state, says in found:
            table.add_row(part, f"[{'green' if state == 'ok' else 'red'}]{state}[/]", says)
        console.print(table)
    if any(state != "ok" for _, state, _ in found):
        raise typer.Exit(1)


def version() -> None:
    """Print the version, and those of the main libraries."""
    parts = " ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("fastapi", "dbos", "scikit-learn")
    )
    console.print(f"mendline {__version__} ({parts})")
