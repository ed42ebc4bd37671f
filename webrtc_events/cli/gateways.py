"""`webrtc-events gateway`: adapters beside WebRTC gateways, and what waits in their queues."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webrtc_events.cli.error_handling import handle_cli_errors

if TYPE_CHECKING:
    from webrtc_events.gateways.adapter import AdapterOptions

__all__ = ["adapter_options", "gateway", "gateway_options"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_MIB: Final = 1 << 20


@click.group()
def gateway() -> None:
    """Adapters: what a WebRTC gateway does becomes events of the service.

    An adapter is a process beside the gateway. It keeps what the gateway says in a queue on disk before it
    answers, and publishes it to the service, in order. While the service is away, the queue waits. An adapter
    that is killed loses nothing and doubles nothing: start it again with the same --queue.

    \b
    Examples:
      webrtc-events gateway janus --help
      webrtc-events gateway status --queue /var/lib/webrtc-events/janus.queue
    """


_QUEUE_OPTION = click.option(
    "--queue", type=_FILE, required=True, envvar="GATEWAY_QUEUE", show_envvar=True,
    help="The file of the queue, on a local disk. It is made if it is not there.",
)  # fmt: skip

_ADAPTER_OPTIONS: Final = (
    _QUEUE_OPTION,
    click.option("--service", required=True, envvar="GATEWAY_SERVICE", show_envvar=True, metavar="URL",
                 help="The API root of the service; /network/v0 follows it."),
    click.option("--issuer", envvar="GATEWAY_ISSUER", show_envvar=True, metavar="URL",
                 help="The issuer of access tokens; its discovery document names the token endpoint."),
    click.option("--token-url", envvar="GATEWAY_TOKEN_URL", show_envvar=True, metavar="URL",
                 help="The token endpoint, in place of --issuer."),
    click.option("--client-id", default="gateway", envvar="GATEWAY_CLIENT_ID", show_envvar=True,
                 help="The adapter's client id at the issuer. It needs the scope webrtc-events:network."),
    click.option("--client-secret-file", type=_FILE, envvar="GATEWAY_CLIENT_SECRET_FILE", show_envvar=True,
                 help="A file with the client's secret.  [default: no secret]"),
    click.option("--ca-file", type=_FILE, envvar="GATEWAY_CA_FILE", show_envvar=True,
                 help="CAs of the service and of the issuer, in PEM.  [default: the usual ones]"),
    click.option("--queue-mib", type=click.IntRange(min=1), default=1024, envvar="GATEWAY_QUEUE_MIB",
                 show_envvar=True, help="How much may wait; above it, the gateway is refused (MiB)."),
    click.option("--queue-hours", type=click.FloatRange(min=0.1), default=24.0, envvar="GATEWAY_QUEUE_HOURS",
                 show_envvar=True, help="What has waited for longer is set aside as rejected (h)."),
)  # fmt: skip


def gateway_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all adapters have; `adapter_options` reads them."""
    for option in reversed(_ADAPTER_OPTIONS):
        command = option(command)
    return command


def adapter_options(given: dict[str, Any]) -> "AdapterOptions":
    """Of the options of `gateway_options`, which it takes out of `given`.

    Raises:
        click.UsageError: they do not fit together, or a file cannot be read.
    """
    from webrtc_events.core.setting_files import read_secret
    from webrtc_events.gateways.adapter import AdapterOptions
    from webrtc_events.gateways.journal import JournalLimits
    from webrtc_events.gateways.service_client import Access

    issuer, token_url = given.pop("issuer"), given.pop("token_url")
    secret_file = given.pop("client_secret_file")
    if (issuer is None) == (token_url is None):
        raise click.UsageError("name one of --issuer and --token-url: where access tokens come from")
    for option, url in (("--service", given["service"]), ("--issuer", issuer), ("--token-url", token_url)):
        if url is not None and not url.startswith(("http://", "https://")):
            raise click.BadParameter("must start with http:// or https://", param_hint=option)
    try:
        secret = None if secret_file is None else read_secret(secret_file)
    except ValueError as error:
        raise click.BadParameter(f"{secret_file}: {error}", param_hint="--client-secret-file") from None
    return AdapterOptions(
        queue=given.pop("queue"),
        service=given.pop("service"),
        access=Access(issuer, token_url, given.pop("client_id"), secret),
        ca_file=given.pop("ca_file"),
        max_age_h=given.pop("queue_hours"),
        limits=JournalLimits(max_bytes=given.pop("queue_mib") * _MIB),
    )


@gateway.command()
@_QUEUE_OPTION
@handle_cli_errors
def status(queue: Path) -> None:
    """Show what waits in a queue, and what the service did not take. The adapter may run.

    \b
    Example:
      webrtc-events gateway status --queue /var/lib/webrtc-events/janus.queue
    """
    from webrtc_events.core.clock import SystemClock, format_time
    from webrtc_events.gateways.journal_view import view

    if not queue.exists():
        raise click.ClickException(f"{queue}: there is no such file; is it the --queue of the adapter?")
    try:
        found = view(queue)
    except (sqlite3.Error, ValueError) as error:
        raise click.ClickException(f"{queue}: {error}; is it a queue of an adapter?") from error
    now_ms = round(SystemClock().now() * 1000)
    click.echo(f"{'waiting':<10}{found.entries} requests, {found.bytes} bytes")
    if found.oldest_ms is not None:
        age_s = max(0, now_ms - found.oldest_ms) // 1000
        click.echo(f"{'oldest':<10}{format_time(found.oldest_ms)}, {age_s} s ago")
    click.echo(f"{'rejected':<10}{found.rejected}")
    for one in found.last_rejected:
        click.echo(f"  {format_time(one.rejected_ms)}  {one.what}: {one.reason}")
    if not found.rejected:
        return
    click.echo("What was rejected is not sent again. The service's contract says what it takes.")
