"""`webrtc-events damaged`: what an operator does with records that cannot be read."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from webrtc_events.cli.error_handling import handle_cli_errors

if TYPE_CHECKING:
    from webrtc_events.store.damaged_records import DamagedRecords

__all__ = ["damaged"]

_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


@click.group()
def damaged() -> None:
    """Records in the store that cannot be read: look at them, remove them, put them back.

    A damaged record stops nobody: it is left out and named in the log, and it is looked at again
    every minute. An entry of an outbox that cannot be read becomes a dead letter with the reason
    `damaged`. An index of another type is made anew, and what was in its place is kept under
    `set-aside:` and its name. Nothing is removed without your word.

    What to do: `list` finds them, `show NAME` shows one. Mend it by hand, or start the release that
    wrote it; then `repair NAME`. Or `drop NAME`.

    Needs the settings of the worker in the environment.

    \b
    Examples:
      webrtc-events damaged list
      webrtc-events damaged show 5d41402abc4b2a76b9719d911017c592-2a
      webrtc-events damaged repair 5d41402abc4b2a76b9719d911017c592-2a
      webrtc-events damaged drop 5d41402abc4b2a76b9719d911017c592-2a
    """


@contextmanager
def _opened() -> "Iterator[DamagedRecords]":
    from webrtc_events.core.settings import Settings
    from webrtc_events.store.damaged_records import DamagedRecords
    from webrtc_events.store.store import Store

    store = Store.connect(Settings.from_environ(os.environ))
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
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@handle_cli_errors
def list_(as_json: bool) -> None:
    """List what is damaged, and what was set aside.

    Reads the whole store in small steps, so that it may run beside everything else. Prints nothing
    when all is well. A name is a subscription's id or a key; bytes that are not printable are
    escaped, and the other commands take them so.

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
@click.option("--json", "as_json", is_flag=True, help="As JSON objects, one a line, for programs.")
@handle_cli_errors
def show(name: str, as_json: bool) -> None:
    r"""Show what is stored under NAME, byte for byte.

    What is not printable is escaped as \xNN, so that it can do no harm to a terminal. Addresses and
    names in it are shown in clear; a sealed credential is not shown. Of what is long the beginning.

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
            else [each if isinstance(each, str) else json.dumps(each) for each in content]
        )
        for line in lines:
            click.echo(f"  {line}")


@damaged.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@handle_cli_errors
def drop(name: str, yes: bool) -> None:
    """Remove what is damaged under NAME, for good.

    A damaged subscription goes with its outbox and its place in indexes; its sink is not told. What
    can be read is not dropped: delete it over the API, or use `erase`.

    \b
    Example:
      webrtc-events damaged drop 5d41402abc4b2a76b9719d911017c592-2a
    """
    with _opened() as records:
        found = records.find_one(_name(name))
        if not found:
            raise click.ClickException(f"nothing damaged is stored under {name}, so nothing is removed")
        if not yes:
            for each in found:
                click.echo(each.why, err=True)
            click.confirm(f"Remove {name}?", abort=True, err=True)
        records.drop(_name(name))
    click.echo(f"{name}: removed")


@damaged.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@handle_cli_errors
def repair(names: tuple[str, ...]) -> None:
    """Put back into service what can be read again: after a mend by hand, or by another release.

    A subscription gets its place in every index and is due at once; what waits in its outbox goes
    out. An index is made anew from the records. May be repeated. Exits with 1 if something still
    cannot be read.

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
