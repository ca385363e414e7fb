"""slack: setting it up."""

from typing import Annotated

import typer
import yaml
from rich.table import Table

from app.commands.shown import Json, as_json, console, plain
from app.foundation.errors import Invalid
from app.settings import read_settings

slack_app = typer.Typer(help="Set Slack up.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    app.add_typer(slack_app, name="slack")


@slack_app.command("manifest")
def manifest(
    url: Annotated[
        str,
        typer.Option(help="Where Slack reaches this service, https://…; MENDLINE_PEOPLE__URL if not given."),
    ] = "",
    socket: Annotated[
        bool, typer.Option("--socket", help="Clicks come over Socket Mode: no public address is needed.")
    ] = False,
) -> None:
    """Print the manifest of the app to make at https://api.slack.com/apps, From a manifest."""
    from app.people.slack_setup import manifest as made

    address = url or read_settings().people.url
    if not socket and not address.startswith("https://"):
        raise Invalid(
            "Slack posts clicks to a public https address",
            places=(("--url", f"{address or 'not given'}; or use --socket, which needs none"),),
        )
    print(yaml.safe_dump(made(address, socket=socket), sort_keys=False), end="")  # noqa: T201


@slack_app.command("check")
def check(as_json_: Json = False) -> None:
    """Ask Slack whether token, scopes and channels work; nothing is posted."""
    from app.people.directory import DirectoryFile
    from app.people.slack_setup import check as checked

    settings = read_settings()
    directory = DirectoryFile(settings.people.file or settings.data_dir / "people.yaml").read()
    found = list(checked(settings.people, directory))
    if as_json_:
        as_json([{"part": part, "state": state, "says": says} for part, state, says in found])
    else:
        table = Table(box=None, show_header=False)
        for part, state, says in found:
            table.add_row(plain(part), f"[{'green' if state == 'ok' else 'red'}]{state}[/]", plain(says))
        console.print(table)
    if any(state != "ok" for _, state, _ in found):
        raise typer.Exit(1)
