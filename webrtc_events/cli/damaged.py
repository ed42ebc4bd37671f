"""`webrtc-events damaged`: finds, shows, removes and repairs records that cannot be read."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.options import config_option, read_settings

if TYPE_CHECKING:
    from webrtc_events.store.damaged_records import DamagedRecords

__all__ = ["damaged"]

_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


@click.group()
def damaged() -> None:
    """Find, show, remove and repair records that cannot be read.

    A damaged record stops nothing else: the service skips it, names it in the log, and tries it
    again every minute. An outbox entry that cannot be read becomes a dead letter with the reason
    `damaged`. An index of a wrong type is built again; what was in its place stays under
    `set-aside:` and its name. Nothing is removed without your command.

    What to do: `list` finds damaged records, `show NAME` shows one. Fix it by hand, or start the
    release that wrote it; then run `repair NAME`. Or remove it: `drop NAME`.

    Needs the worker's settings, in the environment or by --config.

    \b
    Examples:
      webrtc-events damaged list
      webrtc-events damaged show 5d41402abc4b2a76b9719d911017c592-2a
      webrtc-events damaged repair 5d41402abc4b2a76b9719d911017c592-2a
      webrtc-events damaged drop 5d41402abc4b2a76b9719d911017c592-2a
    """


@contextmanager
def _opened() -> "Iterator[DamagedRecords]":
    from webrtc_events.store.damaged_records import DamagedRecords
    from webrtc_events.store.store import Store

    store = Store.connect(read_settings())
    try:
        yield DamagedRecords(store)
    finally:
        store.close()


def _name(text: str) -> str:
    """The name of what `list` prints in escaped form."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "\\", text)
    return raw.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


@damaged.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@config_option
@handle_cli_errors
def list_(as_json: bool) -> None:
    """List damaged records and what was set aside.

    Reads the whole store in small steps, so that the service can run meanwhile. Prints nothing
    when nothing is damaged. A name is a subscription's id or a key. Bytes that cannot be printed
    are escaped; the other commands take such names.

    \b
    Examples:
      webrtc-events damaged list
      webrtc-events damaged list --json | jq -r .name
    """
    from webrtc_events.store.damaged_records import escaped

    with _opened() as records:
        for found in records.find():
            name, key = escaped(found.name), escaped(found.key)
            if as_json:
                click.echo(json.dumps({"name": name, "key": key, "why": found.why}))
            else:
                click.echo(f"{name}  {found.why}")


@damaged.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@config_option
@handle_cli_errors
def show(name: str, as_json: bool) -> None:
    """Show what is stored under NAME, byte for byte.

    Bytes that cannot be printed are escaped as \\xNN, so that they cannot harm a terminal. Addresses
    and names are shown in clear, a sealed credential is not. Long values are cut off.

    \b
    Example:
      webrtc-events damaged show 5d41402abc4b2a76b9719d911017c592-2a
    """
    with _opened() as records:
        shown = records.show(_name(name))
    if not shown:
        raise click.ClickException(
            f"nothing is stored under {name}; `webrtc-events damaged list` shows names"
        )
    for record in shown:
        if as_json:
            click.echo(json.dumps(record))
            continue
        click.echo(f"{record['key']} ({record['type']}): {record['why'] or 'can be read'}")
        content = record["content"]
        lines = (
            [f"{field} = {value}" for field, value in content.items()]
            if isinstance(content, dict)
            else [part if isinstance(part, str) else json.dumps(part) for part in content]
        )
        for line in lines:
            click.echo(f"  {line}")


@damaged.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@config_option
@handle_cli_errors
def drop(name: str, yes: bool) -> None:
    """Remove the damaged record NAME for good.

    A damaged subscription goes with its outbox and its index entries; its sink gets no notification.
    This command does not remove a record that can be read: delete it over the API, or use `erase`.

    \b
    Example:
      webrtc-events damaged drop 5d41402abc4b2a76b9719d911017c592-2a
    """
    with _opened() as records:
        found = records.find_one(_name(name))
        if not found:
            raise click.ClickException(f"nothing damaged is stored under {name}, so nothing is removed")
        if not yes:
            for record in found:
                click.echo(record.why, err=True)
            click.confirm(f"Remove {name}?", abort=True, err=True)
        records.drop(_name(name))
    click.echo(f"{name}: removed")


@damaged.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@config_option
@handle_cli_errors
def repair(names: tuple[str, ...]) -> None:
    """Put records back into service that can be read again, after a fix or under another release.

    A subscription gets its entry in every index and is due at once, so that its outbox is delivered.
    An index is built again from the records. The command may be repeated. It exits with 1 if a
    record still cannot be read.

    \b
    Example:
      webrtc-events damaged repair 5d41402abc4b2a76b9719d911017c592-2a
    """
    left = 0
    with _opened() as records:
        for name in names:
            why = records.repair(_name(name))
            left += why is not None
            click.echo(
                f"{name}: " + ("in service" if why is None else f"left as it is: {why}"), err=why is not None
            )
    if left:
        sys.exit(1)
