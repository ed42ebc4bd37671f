"""`webrtc-events serve`, `sink`, `demo`, `token` and `publish`: the commands of one machine."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from webrtc_events.cli.error_handling import handle_local_errors
from webrtc_events.cli.extras import needs_extra
from webrtc_events.cli.local_access import client_of, client_with, data_directory, endpoints_of, local_issuer
from webrtc_events.cli.options import config_option, data_option, given_environ
from webrtc_events.core.clock import SystemClock

if TYPE_CHECKING:
    from webrtc_events.local.demo.http_client import HttpClient
    from webrtc_events.local.demo.publish_results import Summary
    from webrtc_events.local.sink.received import Received

__all__ = ["demo", "publish", "serve", "sink", "token"]

_STRICT = "WEBRTC_EVENTS_STRICT_CLOUDEVENTS"


@click.command()
@click.option("--host", default="127.0.0.1", help="Address of the API and the gateway side.")
@click.option("--port", default=9091, type=click.IntRange(0, 65535), help="Their port; 0 takes a free one.")
@click.option(
    "--sink-port",
    default=9443,
    type=click.IntRange(0, 65535),
    help="Port of the HTTPS sink on localhost; 0 takes a free one.",
)
@click.option("--open", "open_console", is_flag=True, help="Open the console in a browser.")
@click.option(
    "--operator-events",
    is_flag=True,
    help="Send events for operators to this sink too, at /operator-events, a test event first.",
)
@config_option
@data_option
@needs_extra("local")
@handle_local_errors
def serve(
    host: str, port: int, sink_port: int, open_console: bool, operator_events: bool, data_dir: Path | None
) -> None:
    """Run everything on this machine.

    Starts a store (an embedded Valkey, unless WEBRTC_EVENTS_REDIS_URL is set), the API, the
    gateway side, a worker, the console, an OIDC issuer for local tokens, and an HTTPS sink that
    validates and prints what it receives. Ctrl-C stops everything in order. Start it again on the same
    data directory to continue.

    The sink can be made to fail at a path: see `webrtc-events sink --help`.

    \b
    Examples:
      webrtc-events serve --open
      webrtc-events serve --port 8080 --sink-port 8443 --data-dir ./data
    """
    from webrtc_events.core.log_start import start_log
    from webrtc_events.core.process import loading

    start_log(given_environ(), "serve")
    data = data_directory(data_dir)
    with loading():
        from webrtc_events.local.stack.serve import ServeOptions
        from webrtc_events.local.stack.serve import serve as run

        options = ServeOptions(
            host=host,
            port=port,
            sink_port=sink_port,
            data=data,
            open_console=open_console,
            operator_events=operator_events,
        )
        run(options, given_environ(), SystemClock(), click.echo)


@click.command()
@click.option(
    "--port", default=9443, type=click.IntRange(0, 65535), help="Port on localhost; 0 takes a free one."
)
@click.option(
    "--strict/--no-strict",
    default=None,
    help="The valid form of session-status.  [default: as the variable "
    f"{_STRICT} says; both forms if it lists client ids]",
)
@config_option
@data_option
@needs_extra("local")
@handle_local_errors
def sink(port: int, strict: bool | None, data_dir: Path | None) -> None:
    """Run the local HTTPS sink alone.

    The sink takes notifications at any path. It validates them against the contract, prints a
    line for each, and shows them in its inbox, the page at its root.

    It can be made to fail, to see what the service does: with any status, with no answer
    (hang), with a closed connection (drop), with one byte a second (drip). The inbox has a form
    for it, and programs set it by path, for all requests or for the next few:

    \b
      curl --cacert CA -X PUT https://localhost:9443/_behaviours/my-app \\
        -d '{"answer": 429, "retryAfter": 5, "count": 3}'
      curl --cacert CA -X PUT https://localhost:9443/_behaviours/my-app -d '{"answer": "hang"}'
      curl --cacert CA -X DELETE https://localhost:9443/_behaviours

    GET /_behaviours lists what is set; "handshake": true answers OPTIONS so too. On the next port,
    9444 here, the same sink has a certificate that nobody trusts.

    \b
    Example:
      webrtc-events sink --port 8443
    """
    from webrtc_events.core.log_start import start_log

    start_log(given_environ(), "sink")
    from webrtc_events.local.stack.environment import possible_forms
    from webrtc_events.local.stack.serve import serve_sink

    forms = possible_forms(given_environ()) if strict is None else (strict,)
    serve_sink(port, data_directory(data_dir), strict=forms, clock=SystemClock(), say=click.echo)


@click.command()
@click.option(
    "--fresh",
    is_flag=True,
    help="Start a `serve` for it on free ports with temporary data, and stop it afterwards.",
)
@data_option
@needs_extra("local")
@handle_local_errors
def demo(fresh: bool, data_dir: Path | None) -> None:
    """Play a recorded call through a running `serve` and check every notification.

    Subscribes three times, publishes the call as a gateway would, and prints each notification
    as it arrives at the local sink. Exits with 0 if every notification arrives, valid and in
    order, each subscription ends once, for the right reason, and nothing else arrives.

    \b
    Examples:
      webrtc-events demo
      webrtc-events demo --fresh
    """
    from webrtc_events.local.demo.play import Demo, Show
    from webrtc_events.local.stack.temporary_serve import temporary_serve

    clock = SystemClock()
    with ExitStack() as stack:
        directory = (
            stack.enter_context(temporary_serve(os.environ, clock)) if fresh else data_directory(data_dir)
        )
        api = client_of(stack, directory)
        from webrtc_events.local.demo.http_client import HttpClient

        inbox = HttpClient(ca=directory / "ca" / "ca.pem")
        stack.callback(inbox.close)
        run = Demo(endpoints_of(directory), api, inbox, clock, Show(_step, _notification))
        started = clock.monotonic()
        faults = run.run()
        took_s = clock.monotonic() - started
    if faults:
        raise click.ClickException("\n".join(["the demo failed:", *(f"  {fault}" for fault in faults)]))
    click.secho(
        f"All {run.notifications} notifications came, valid and in order, in {took_s:.1f} s.",
        fg="green",
        bold=True,
    )


@click.command()
@click.option("--client", default="local", help="The client's id.")
@click.option(
    "--subject", help="The end user (`sub`) of a three-legged token. Without it, the token is two-legged."
)
@click.option("--scope", "scopes", multiple=True, help="May be given several times.  [default: all scopes]")
@click.option(
    "--expires-in", default=3600, type=click.IntRange(min=1), help="Seconds until the token expires."
)
@data_option
@handle_local_errors
def token(
    client: str, subject: str | None, scopes: tuple[str, ...], expires_in: int, data_dir: Path | None
) -> None:
    """Print an access token for the local `serve`.

    \b
    Examples:
      TOKEN=$(webrtc-events token)
      webrtc-events token --client softphone --subject 248289761001 --scope webrtc-events:read
    """
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.stack.issuer import SCOPES

    issuer = local_issuer(data_dir)
    data = data_directory(data_dir)
    if not Endpoints.exists(data):
        click.echo(
            f"No `serve` has run on {data} yet; this token is for one at the default address.",
            err=True,
        )
    click.echo(issuer.mint(client=client, subject=subject, scopes=scopes or SCOPES, expires_in_s=expires_in))


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--url", help="Base URL of the gateway side.  [default: the local `serve`]")
@click.option(
    "--token", "access_token", help="Access token with scope webrtc-events:network.  [default: a local token]"
)
@click.option("--keep-ids", is_flag=True, help="Keep the ids and times of FILE.")
@data_option
@handle_local_errors
def publish(
    file: BinaryIO, url: str | None, access_token: str | None, keep_ids: bool, data_dir: Path | None
) -> None:
    """Publish network events from FILE, one JSON object per line; `-` reads the standard input.

    Each event gets a new id and the current time, so that the same file can be played again
    and again. Registrations and sessions keep their names.

    --keep-ids publishes the events as they are. Use it for events that really happened, as in
    a gateway's log. It is safe to run again: the service knows an event that it accepted before
    as a duplicate and sends nothing for it.

    Events go out in order, up to 100 at a time; the next batch waits for the answer. The last
    line counts accepted, duplicate and rejected events, the notifications for subscribers, and
    the unmatched events: accepted, but no subscription is for them. A rejected line is shown
    with the reason; the others are still sent. Exits with 1 if a line was rejected.

    \b
    Examples:
      webrtc-events publish call.ndjson
      gateway-log --follow | webrtc-events publish --keep-ids -
    """
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter("must start with http:// or https://", param_hint="--url")
    with ExitStack() as stack:
        client = client_of(stack, data_dir) if access_token is None else client_with(stack, access_token)
        summary = _publish(file, url or endpoints_of(data_dir).network, client, keep_ids=keep_ids)
    for hint in summary.hints(kept_ids=keep_ids):
        click.echo(hint, err=True)
    if summary.rejected:
        sys.exit(1)


def _publish(file: BinaryIO, url: str, client: "HttpClient", *, keep_ids: bool) -> "Summary":
    from webrtc_events.local.demo.fresh_events import FreshEvents
    from webrtc_events.local.demo.progress import Progress
    from webrtc_events.local.demo.publish_results import LineResult, LineStatus, Summary
    from webrtc_events.local.demo.publisher import EventPublisher

    clock = SystemClock()
    summary = Summary()
    rejections: list[str] = []
    with Progress(file) as progress:

        def report(result: LineResult) -> None:
            summary.add(result)
            if result.status is LineStatus.REJECTED:
                rejections.append(f"line {result.line}: {result.message}")
                progress.between(rejections)

        renew = None if keep_ids else FreshEvents(clock).renew
        try:
            EventPublisher(url, client, clock, renew).publish(file, report, progress.advance)
        finally:
            progress.close()
            for rejection in rejections:
                click.echo(rejection, err=True)
            click.echo(str(summary))
    return summary


def _step(text: str) -> None:
    click.secho(text, dim=True)


def _notification(received: "Received") -> None:
    from webrtc_events.local.sink.terminal_view import styled

    click.echo(styled(received))
