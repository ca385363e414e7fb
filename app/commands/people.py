"""people: whether `people.yaml` is right and its channels answer, and what could not be told."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.commands.shown import Json, as_json, console, plain
from app.foundation.errors import Invalid, Unavailable
from app.people.channel import Checked, NotDelivered
from app.people.channels import Connection, open_channel
from app.people.directory import Directory, read_directory
from app.people.message import Message
from app.people.settings import PeopleSettings
from app.settings import read_settings

people_app = typer.Typer(help="Who is told, and how.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.add_typer(people_app, name="people")


@people_app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Without one, the file in force.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send a test message to each channel.")] = False,
) -> None:
    """Say what is wrong in people.yaml, with the line, and whether each channel answers."""
    settings = read_settings()
    path = file or settings.people.file or settings.data_dir / "people.yaml"
    directory = _read(path, asked_for=file is not None)
    if not directory.channels and not settings.people.webhooks:
        console.print("[yellow]no channel is set up: nobody is told of anything[/]", soft_wrap=True)
    console.print(
        f"{plain(path.name)}: ok, people {len(directory.people)}, groups {len(directory.groups)}, "
        f"channels {len(directory.channels)}, routes {len(directory.routes)}"
    )
    if directory.channels and not any(not route.owner for route in directory.routes):
        console.print(
            "[yellow]no route without an owner: what nobody owns is told to nobody[/]", soft_wrap=True
        )
    wrong = 0
    for name, entry in directory.channels.items():
        try:
            says = _tried(entry, settings.people, send)
            console.print(f"  {plain(name)} [green]ok[/]  {plain(says)}", soft_wrap=True)
        except NotDelivered as refused:
            wrong += 1
            console.print(f"  {plain(name)} [red]wrong[/]  {plain(refused.says)}", soft_wrap=True)
    if wrong:
        raise Unavailable(f"{wrong} of {len(directory.channels)} channels cannot be used")


def _read(path: Path, *, asked_for: bool) -> Directory:
    try:
        return read_directory(path) if asked_for or path.exists() else Directory()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror or error}") from None


def _tried(entry: Connection, settings: PeopleSettings, send: bool) -> str:
    channel = open_channel(entry, settings)
    try:
        if send:
            text = "this is a test: messages of Mendline arrive here. Nothing is wrong."
            test = Message(
                kind="verified",
                incident_id="inc_test",
                title="A test of Mendline",
                text=text,
                about="test",
                url=settings.url,
            )
            channel.deliver(test, None, "")
            return "a test message is there"
        return channel.check() if isinstance(channel, Checked) else "set up; --send shows whether it answers"
    finally:
        channel.close()


@people_app.command()
def deliveries(
    incident: Annotated[str, typer.Option(help="All that was told of this incident.")] = "",
    as_json_: Json = False,
) -> None:
    """List messages that are late or were given up, newest first; with an incident, all of its."""
    from app.people import store
    from app.wiring import open_store

    with open_store(read_settings()).database.reading() as session:
        found = store.deliveries(session, incident)
    if as_json_:
        as_json([one.model_dump(mode="json") for one in found])
        return
    table = Table("told", "channel", "incident", "kind", "state", "tries", "why", box=None)
    for one in found:
        told = f"{one.at:%m-%d %H:%M:%S}"
        message = one.message
        row = told, plain(one.channel), message.incident_id, message.kind, one.state, str(one.attempts)
        table.add_row(*row, plain(one.says))
    console.print(table)
