"""Each command is found where the command line looks for it, and only that is imported."""

import subprocess
import sys

import pytest
import typer

from app.cli import _COMMANDS, command_line


@pytest.mark.parametrize("module", _COMMANDS)
def test_a_module_has_the_commands_that_it_is_imported_for(module: str) -> None:
    for name in _COMMANDS[module]:
        group = typer.main.get_command(command_line([name]))
        assert set(group.commands) == set(_COMMANDS[module])  # type: ignore[attr-defined]


def test_without_a_command_there_are_all() -> None:
    for words in ([], ["--help"], ["nonsense"]):
        group = typer.main.get_command(command_line(words))
        assert set(group.commands) == {name for names in _COMMANDS.values() for name in names}  # type: ignore[attr-defined]


def test_what_serving_rarely_needs_is_not_imported_for_it() -> None:
    says = (
        "import sys, app.cli, app.main; app.cli.command_line(['serve']); "
        "print({'pandas', 'pyarrow', 'alembic', 'torch', 'litellm', 'sklearn', 'scipy', 'detect_secrets', 'icalendar', "
        "'jwt', 'markdown_it'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", says], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "set()"
