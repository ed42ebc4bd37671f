"""`webrtc-events migrate --dry-run`: what subscriptions of 0.2 would be under 0.3; it writes nothing."""

import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.operator_access import opened_store, record_change
from webrtc_events.cli.options import config_option

if TYPE_CHECKING:
    from webrtc_events.cli.migration.former import Successors
    from webrtc_events.cli.migration.sorting import Sorted
    from webrtc_events.core.settings import Settings
    from webrtc_events.store.store import Store

__all__ = ["migrate"]

_AT_ONCE: Final = 100
_WHY_NOT: Final = (
    "applications make their own subscriptions of 0.3: only they have the access tokens of their sinks, the "
    "scopes of 0.3 and a sink that reads its events. See what they would be with --dry-run"
)


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would be; without it the command refuses.")
@click.option("--client", default="", help="Of this client id alone.")
@click.option("--reveal", is_flag=True, help="Show personal data in clear; the log says who did.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@config_option
@handle_cli_errors
def migrate(*, dry_run: bool, client: str, reveal: bool, as_json: bool) -> None:
    """Show what subscriptions of 0.2 would be under version 0.3, of all clients or of one.

    A subscription of 0.3 is to a device, and has up to three types. So those of the same client,
    user, device, sink, credential and headers become one. For each the command says which ones it
    replaces, what changes for the application, and what to give it that is secret. It names those
    that cannot be carried over, with the reason, and records that cannot be read.

    Devices are those that the gateway put registrations with. Of a registration that is not known
    the device is the one that the request names, if it names one.

    Nothing is written: an application makes its own subscriptions, as "Moving from 0.2 to 0.3" in
    the documentation says. With --json --reveal, each `body` is ready for POST /subscriptions,
    but for what `supply` names. The command sorts in a temporary file without a name.

    Exits with 1 if a record cannot be read, with 2 without --dry-run.

    \b
    Examples:
      webrtc-events migrate --dry-run --client app
      webrtc-events migrate --dry-run --json | jq -r 'select(.kind == "notCarriedOver") | .why'
      webrtc-events migrate --dry-run --client app --json --reveal |
        jq -c 'select(.kind == "subscription") | .body'
    """
    if not dry_run:
        raise click.UsageError(_WHY_NOT)
    from webrtc_events.cli.migration.report import as_json as json_lines
    from webrtc_events.cli.migration.report import as_text as text_lines
    from webrtc_events.cli.migration.sorting import Sorted
    from webrtc_events.cli.migration.successor import successor_of
    from webrtc_events.core.log_masking import Masking
    from webrtc_events.core.personal_view import PersonalView

    with closing(Sorted()) as found:
        with opened_store() as (settings, store):
            _read_all(store, settings, client or None, found)
            if reveal:
                record_change("reveal-migration", "shown")
        personal = PersonalView(Masking.of(settings), revealed=reveal)
        totals = found.totals()
        successors = (successor_of(formers, personal) for formers in found.groups())
        lines = json_lines if as_json else text_lines
        for line in lines(successors, found.apart(), found.damaged(), totals, personal):
            click.echo(line)
    if totals.damaged:
        sys.exit(1)


def _read_all(store: "Store", settings: "Settings", client: str | None, found: "Sorted") -> None:
    from webrtc_events.cli.migration.former import Successors
    from webrtc_events.cli.status_line import StatusLine
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.store.sealed_subscriptions import pages_of_ids

    successors = Successors(settings)
    line = StatusLine(SystemClock())
    looked_at = 0
    try:
        for page in pages_of_ids(store, client):
            for first in range(0, len(page), _AT_ONCE):
                ids = page[first : first + _AT_ONCE]
                _read(store, successors, ids, found)
                looked_at += len(ids)
                line.show(f"{looked_at:,} subscriptions looked at")
    finally:
        line.clear()


def _read(store: "Store", successors: "Successors", ids: Sequence[str], found: "Sorted") -> None:
    from webrtc_events.cli.migration.sorting import PassedOver
    from webrtc_events.core.errors import DamagedRecord
    from webrtc_events.core.model import ContractVersion, Status
    from webrtc_events.store.registration_reads import read_registrations
    from webrtc_events.store.sealed_subscriptions import SealedSubscription, read_sealed

    live: list[SealedSubscription] = []
    for record in read_sealed(store, ids):
        if isinstance(record, DamagedRecord):
            found.add(record)
        elif record.subscription.contract == ContractVersion.V0_3:
            found.pass_over(record.subscription.id, PassedOver.OF_DEVICE)
        elif record.subscription.status not in (Status.ACTIVE, Status.ACTIVATION_REQUESTED):
            found.pass_over(record.subscription.id, PassedOver.OVER)
        else:
            live.append(record)
    registrations = read_registrations(store, (record.subscription.registration for record in live))
    for record in live:
        try:
            found.add(successors.of(record, registrations))
        except UnicodeEncodeError:
            found.add(DamagedRecord(record.subscription.id, "its text is no UTF-8"))
