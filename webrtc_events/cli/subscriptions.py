"""`webrtc-events subscriptions`: lists, shows and ends subscriptions, of whichever client."""

import json
import sys
from typing import TYPE_CHECKING, Final

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.operator_access import opened_store, record_change
from webrtc_events.cli.options import config_option

if TYPE_CHECKING:
    from webrtc_events.services.subscription_view import SubscriptionView
    from webrtc_events.store.store import Store

__all__ = ["subscriptions"]

_TYPES: Final = ("session-invitation", "session-status", "registration-ends")
_VERSIONS: Final = ("0.2", "0.3")
_STATUSES: Final = ("live", "over", "activation_requested", "active", "expired", "inactive", "deleted")


@click.group()
def subscriptions() -> None:
    """List, show and end subscriptions, of whichever client.

    Registrations, devices and users are shown as pseudonyms, as in the logs; --reveal shows them in clear,
    and the log says who did that.

    Needs the worker's settings, in the environment or by --config.

    \b
    Examples:
      webrtc-events subscriptions list --client app --status live
      webrtc-events subscriptions show 5d41402abc4b2a76b9719d911017c592-2a
      webrtc-events subscriptions end 5d41402abc4b2a76b9719d911017c592-2a
    """


@subscriptions.command("list")
@click.option("--client", default="", help="Of this client id.")
@click.option("--type", "type_", type=click.Choice(_TYPES), help="To events of this type.")
@click.option(
    "--status", type=click.Choice(_STATUSES), help="In this status; live: not over yet; over: all the others."
)
@click.option("--registration", default="", help="To this registration: its id, or its pseudonym ~0f3a….")
@click.option("--device", default="", help="To this device: its UUID, or its pseudonym ~0f3a….")
@click.option("--version", type=click.Choice(_VERSIONS), help="Of this version of the contract.")
@click.option("--host", default="", help="With a sink at this host or below it: HOST or HOST:PORT.")
@click.option("--limit", type=click.IntRange(min=1), help="The maximum number.  [default: all]")
@click.option("--after", default="", metavar="PLACE", help="Go on where a list ended that was cut off.")
@click.option("--reveal", is_flag=True, help="Show registrations and devices in clear; the log says who did.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@config_option
@handle_cli_errors
def list_(
    *,
    client: str,
    type_: str | None,
    status: str | None,
    registration: str,
    device: str,
    version: str | None,
    host: str,
    limit: int | None,
    after: str,
    reveal: bool,
    as_json: bool,
) -> None:
    """List subscriptions, as they are found; by client the oldest first.

    By --client and by --registration there are indexes. For all others the command goes through
    the store in small steps, so that the service can run meanwhile; some subscriptions may come
    twice if the store grows in between. With a registration id and no status, only those that are
    not over are found.

    Where a list was cut off, by --limit, by Ctrl-C or by a store that went away, the last line on
    the standard error says how to go on. Exits with 1 if the store went away, with 130 after Ctrl-C.

    \b
    Examples:
      webrtc-events subscriptions list --limit 20
      webrtc-events subscriptions list --host example.com --status active
      webrtc-events subscriptions list --json | jq -r .client | sort | uniq -c
    """
    from webrtc_events.cli.subscription_listing import Listing
    from webrtc_events.services.subscription_filters import ListFilters

    filters = ListFilters(client, type_ or "", status or "", registration, host, device, version or "")
    with opened_store() as (settings, store):
        listing = Listing.begin(store, settings, filters, after, reveal=reveal)
        if reveal:
            record_change("reveal-subscriptions", "shown")
        sys.exit(listing.run(limit, as_json=as_json))


@subscriptions.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--reveal", is_flag=True, help="Show personal data in clear; the log says who did.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@config_option
@handle_cli_errors
def show(subscription_id: str, reveal: bool, as_json: bool) -> None:
    """Show a subscription: its state, its outbox, its last attempts and its dead letters.

    A record that cannot be read is shown as far as it can be, with the reason. Header values and
    the sink's credential are never shown. Exits with 1 if there is no such subscription.

    \b
    Examples:
      webrtc-events subscriptions show 5d41402abc4b2a76b9719d911017c592-2a
      webrtc-events subscriptions show 5d41402abc4b2a76b9719d911017c592-2a --json | jq .outbox
    """
    from webrtc_events.cli.subscription_text import as_document, as_text
    from webrtc_events.core.log_masking import Masking
    from webrtc_events.core.personal_view import PersonalView

    with opened_store() as (settings, store):
        view = _existing(store, subscription_id)
        if reveal:
            record_change("reveal", "shown", subscription=subscription_id)
    document = as_document(view, PersonalView(Masking.of(settings), revealed=reveal))
    click.echo(json.dumps(document) if as_json else as_text(document))


@subscriptions.command()
@click.argument("subscription_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@config_option
@handle_cli_errors
def end(subscription_ids: tuple[str, ...], yes: bool) -> None:
    """End subscriptions: what waits is delivered, then each sink gets the end.

    Each change is logged with who did it, on the standard error and in the system's log. The
    command may be repeated: a subscription ends once. It exits with 1 if one did not end by it.

    \b
    Examples:
      webrtc-events subscriptions end 5d41402abc4b2a76b9719d911017c592-2a
      webrtc-events subscriptions list --client gone --status live --json | jq -r .subscription |
        xargs webrtc-events subscriptions end --yes
    """
    from webrtc_events.services.operator_ending import ENDING, end_subscription

    failed = False
    with opened_store() as (_, store):
        if not yes:
            click.echo(ENDING, err=True)
            what = (
                subscription_ids[0]
                if len(subscription_ids) == 1
                else f"{len(subscription_ids)} subscriptions"
            )
            click.confirm(f"End {what}?", abort=True, err=True)
        for subscription_id in subscription_ids:
            ending = end_subscription(store, subscription_id)
            record_change("end-subscription", ending.result, subscription=subscription_id)
            click.echo(f"{subscription_id}: {ending.text}", err=not ending.ended)
            failed = failed or not ending.ended
    if failed:
        sys.exit(1)


def _existing(store: "Store", subscription_id: str) -> "SubscriptionView":
    from webrtc_events.services.subscription_view import read_subscription_view

    view = read_subscription_view(store, subscription_id)
    if view is None:
        raise click.ClickException(
            f"there is no subscription {subscription_id}, or none any more; "
            "`webrtc-events subscriptions list` shows them"
        )
    return view
