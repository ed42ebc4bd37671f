"""Writes docs/reference/commands.md: the help of every command, as a terminal of 80 columns shows it.

python -m tests.house.command_table
"""

from collections.abc import Iterator

import click

from tests.harness.documents import ROOT
from webrtc_events.cli.main import main

__all__ = ["DOCUMENT", "commands", "written"]

DOCUMENT = ROOT / "docs" / "reference" / "commands.md"
_COLUMNS = 80

_HEAD = """# All commands

The `--help` of every command. [Commands](../commands.md) says what they are for, by example.
`python -m tests.house.command_table` writes this page anew.
"""


def commands(
    command: click.Command = main, above: click.Context | None = None, name: str = "webrtc-events"
) -> Iterator[click.Context]:
    """Every command, each group in front of what is in it, by name."""
    # With its own settings, as a terminal has it: which words ask for help is kept from its first context on.
    settings = command.context_settings | {"max_content_width": _COLUMNS, "terminal_width": _COLUMNS}
    context = click.Context(command, info_name=name, parent=above, **settings)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from commands(found, context, below)


def written() -> str:
    parts = (
        f"## {context.command_path}\n\n```text\n{context.get_help().rstrip()}\n```\n"
        for context in commands()
    )
    return "\n".join([_HEAD, *parts])


if __name__ == "__main__":
    DOCUMENT.write_text(written(), encoding="utf-8")
