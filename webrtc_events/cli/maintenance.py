"""`webrtc-events new-key`, `rotate-key`, `pseudonym` and `erase`: keys and personal data in production."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.options import config_option, read_settings

if TYPE_CHECKING:
    from webrtc_events.store.device_erasure import DeviceTraces
    from webrtc_events.store.erasure import Traces

__all__ = ["erase", "new_key", "pseudonym", "rotate_key"]

_Traces = TypeVar("_Traces", "Traces", "DeviceTraces")


class _Erasure(Protocol[_Traces]):
    def find(self, name: str, /) -> _Traces: ...

    def erase(self, traces: _Traces, /) -> None: ...


@click.command("new-key")
def new_key() -> None:
    """Print a new key for WEBRTC_EVENTS_SECRET_KEY.

    \b
    Example:
      export WEBRTC_EVENTS_SECRET_KEY=$(webrtc-events new-key)
    """
    from secrets import token_urlsafe

    click.echo(token_urlsafe(32))


@click.command("rotate-key")
@config_option
@handle_cli_errors
def rotate_key() -> None:
    """Seal every stored sink credential again, with the first key of WEBRTC_EVENTS_SECRET_KEY.

    First give every process the new key in front of the old one. Then run this command;
    deliveries continue. Afterwards remove the old key everywhere: docs/operations/rotate-keys.md.
    The command may be repeated. It exits with 1 if it could not open a credential: then keep the
    old key.

    Needs the worker's settings, in the environment or by --config.

    \b
    Example:
      export WEBRTC_EVENTS_SECRET_KEY=$(webrtc-events new-key),$WEBRTC_EVENTS_SECRET_KEY
      (restart the API and the workers with it)
      webrtc-events rotate-key
    """
    from webrtc_events.core.credentials import CredentialBox
    from webrtc_events.store.key_rotation import KeyRotation
    from webrtc_events.store.store import Store

    settings = read_settings()
    box = CredentialBox(settings.secret_key)
    store = Store.connect(settings)
    looked_at = 0

    def progress(more: int) -> None:
        nonlocal looked_at
        looked_at += more
        if sys.stderr.isatty():
            click.echo(f"\r{looked_at} subscriptions", nl=False, err=True)

    try:
        result = KeyRotation(store, box).run(progress)
    finally:
        store.close()
        if looked_at and sys.stderr.isatty():
            click.echo(err=True)
    click.echo(f"{result.resealed} resealed with key {box.key_id}, {result.already} had it already")
    for key_id, count in sorted(result.lacking.items()):
        click.echo(f"{count} sealed with key {key_id}, which is not in WEBRTC_EVENTS_SECRET_KEY", err=True)
    for subscription_id in result.damaged:
        click.echo(f"the credential of subscription {subscription_id} is damaged", err=True)
    if result.newer:
        click.echo(f"{result.newer} left to the newer release that made them; run its command", err=True)
    if result.lacking or result.damaged or result.newer:
        sys.exit(1)


@click.command()
@click.argument("value")
@config_option
@handle_cli_errors
def pseudonym(value: str) -> None:
    """Print what the logs show for an address, a name, a registration or a device.

    All spellings of an address have the same pseudonym. Each key in WEBRTC_EVENTS_SECRET_KEY makes
    another: the first line is for current logs, the others are for logs from before a key change.

    Needs the settings of the processes whose logs you search, in the environment or by --config.

    \b
    Example:
      grep -F "$(webrtc-events pseudonym tel:+12025550100)" worker.log
    """
    from webrtc_events.core.log_masking import Masking

    for key in read_settings().secret_key:
        click.echo(Masking(key, show=False).pseudonym(value))


@click.command()
@click.option("--registration", help="The registrationId.")
@click.option("--device", help="In its place: the deviceId.")
@click.option("--dry-run", is_flag=True, help="Show what is stored, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@config_option
@handle_cli_errors
def erase(registration: str | None, device: str | None, dry_run: bool, yes: bool) -> None:
    """Remove the data of a registration, or of a device's subscriptions.

    Removes its record and latest state, its subscriptions with their outboxes, its dead letters
    and delivery attempts, the state of its sessions, the traces of its calls, and its events that
    subscriptions to devices hold. With --device: the subscriptions to it, with their outboxes, dead
    letters, delivery attempts and events in channels; erase its registrations beside that. The sinks
    of subscriptions that are removed get no notification of the end. The command may be repeated,
    also after an interruption.

    End the registration at the gateway first: the service stores what is published or subscribed
    to afterwards. docs/operations/erase.md says what expires and what is stored elsewhere.

    Needs the worker's settings, in the environment or by --config.

    \b
    Examples:
      webrtc-events erase --registration 96eozbrct6g2kw7ybh538sbv --dry-run
      webrtc-events erase --registration 96eozbrct6g2kw7ybh538sbv --yes
      webrtc-events erase --device 7d444840-9dc0-11d1-b245-5ffdce74fad2 --dry-run
    """
    if (registration is None) == (device is None):
        raise click.UsageError("Give --registration or --device.")
    from webrtc_events.store.device_erasure import DeviceErasure
    from webrtc_events.store.erasure import Erasure
    from webrtc_events.store.store import Store

    store = Store.connect(read_settings())
    try:
        if registration is not None:
            newer = _erased(Erasure(store), registration, _in_words, dry_run=dry_run, yes=yes)
        else:
            newer = _erased(DeviceErasure(store), str(device), _of_device, dry_run=dry_run, yes=yes)
    finally:
        store.close()
    if newer:
        raise click.ClickException(
            f"a newer release made {', '.join(newer)}; run the command of that release"
        )


def _erased(
    erasure: "_Erasure[_Traces]",
    name: str,
    in_words: Callable[["_Traces"], str],
    *,
    dry_run: bool,
    yes: bool,
) -> Sequence[str]:
    """Says what was found, and removes it. Returns what a newer release made, which stays."""
    traces = erasure.find(name)
    if traces and not dry_run:
        if not yes:
            click.confirm(f"Remove {in_words(traces)}?", abort=True, err=True)
        erasure.erase(traces)
    click.echo(f"{'found' if dry_run else 'removed'}: {in_words(traces) if traces else 'nothing'}")
    return traces.newer


def _of_device(traces: "DeviceTraces") -> str:
    counts = {
        "subscriptions": len(traces.clients),
        "dead letters, delivery attempts and events in channels": sum(map(len, traces.streams.values())),
        "sequence numbers": len(traces.sequences),
        "ends of registrations": sum(map(len, traces.ends.values())),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _in_words(traces: "Traces") -> str:
    held = traces.of_devices
    counts = {
        "subscriptions": len(traces.clients),
        "dead letters": len(traces.dead_letters),
        "delivery attempts": len(traces.attempts),
        "sequence numbers": len(traces.sequences),
        "states of sessions": len(traces.sessions),
        "traces of calls": len(traces.calls),
        "records of the registration": len(traces.own),
        "events in channels": sum(map(len, traces.channel_events.values())),
        "events of subscriptions to devices": sum(
            len(ids)
            for found in (held.entries, held.dead_letters, held.channel_events, held.ends)
            for ids in found.values()
        ),
        "set-aside logs of channels": len(traces.set_aside_logs),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items())
