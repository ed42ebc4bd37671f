"""`webrtc-events settings`: which settings hold here, and where each comes from."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.options import config_option, given_environ

if TYPE_CHECKING:
    from webrtc_events.core.setting_display import ShownSetting

__all__ = ["settings"]

_MAX_CHARACTERS = 300
# A value that is longer does not move all others; in a narrow terminal there is this much for it.
_MAX_WIDTH = 48
_MIN_WIDTH = 8


@click.command()
@click.option("--show", "action", flag_value="show", default="show", help="Print every setting.")
@click.option("--check", "action", flag_value="check", help="Print only what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@config_option
@handle_cli_errors
def settings(action: str, as_json: bool) -> None:
    """Show the settings that a process started like this would have, or check them.

    Of each setting it prints the name, the value, and where the value comes from: the environment, a
    line of the file of settings, the file of a secret, or the default. Secrets are "set" or
    "not set"; passwords in URLs are hidden.

    Exits with 2 if a setting is wrong, as every process does that is started with it: so
    `ExecStartPre=webrtc-events settings --check` stops a unit before it is restarted with it.

    \b
    Examples:
      webrtc-events settings
      webrtc-events settings --config /etc/webrtc-events/settings.toml --check
      webrtc-events settings --json | jq -r 'select(.source != "default") | .name'
    """
    from webrtc_events.core.setting_display import shown_settings
    from webrtc_events.core.settings import Settings, given_texts

    given, faults = given_texts(given_environ())
    if action == "show":
        _print(list(shown_settings(given)), as_json=as_json)
        # So that a fault stands behind the table also where both go into one file.
        sys.stdout.flush()
    Settings.from_texts(given, faults)
    if action == "check" and not as_json:
        click.echo("The settings are right.")


def _print(rows: "Sequence[ShownSetting]", *, as_json: bool) -> None:
    from webrtc_events.cli.tables import width
    from webrtc_events.core.plain_text import printable

    if as_json:
        for row in rows:
            click.echo(json.dumps(asdict(row)))
        return
    cells = [("NAME", "VALUE", "FROM")]
    cells += [
        (row.name, printable(row.value, _MAX_CHARACTERS), printable(row.place, _MAX_CHARACTERS))
        for row in rows
    ]
    columns = width()
    wide = [max(len(row[column]) for row in cells) for column in range(2)]
    room = max(_MIN_WIDTH, columns - wide[0] - len("  ") - len("  environment"))
    wide[1] = min(wide[1], _MAX_WIDTH, room)
    for name, value, place in cells:
        line = f"{name:{wide[0]}}  {value:{wide[1]}}  {place}".rstrip()
        if len(line) <= columns:
            click.echo(line)
        else:
            click.echo(name)
            click.echo(f"    {value}  {place}")
