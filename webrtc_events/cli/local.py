"""`webrtc-events serve`, `sink`, `demo`, `token` and `publish`: the commands of one machine."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from webrtc_events.cli.error_handling import handle_local_errors
from webrtc_events.cli.options import data_option
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_config import log_to_stderr

if TYPE_CHECKING:
    from webrtc_events.local.demo.client import Client
    from webrtc_events.local.demo.publisher import Summary
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.sink.inbox import Received
    from webrtc_events.local.stack.issuer import Issuer

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
@data_option
@handle_local_errors
def serve(host: str, port: int, sink_port: int, data_dir: Path | None) -> None:
    """Run everything on this machine.

    Starts a store (an embedded Valkey, unless WEBRTC_EVENTS_REDIS_URL is set), the API, the
    gateway side, the deliveries, an OIDC issuer that gives local tokens, and an HTTPS sink
    that validates and prints what it receives. Ctrl-C stops all of it in order; started again
    on the same data directory, it goes on where it stopped.

    \b
    Examples:
      webrtc-events serve
      webrtc-events serve --port 8080 --sink-port 8443 --data-dir ./data
    """
    log_to_stderr()
    from webrtc_events.local.stack.serve import ServeOptions
    from webrtc_events.local.stack.serve import serve as run

    options = ServeOptions(host=host, port=port, sink_port=sink_port, data=_data(data_dir))
    run(options, os.environ, SystemClock(), click.echo)


@click.command()
@click.option(
    "--port", default=9443, type=click.IntRange(0, 65535), help="Port on localhost; 0 takes a free one."
)
@click.option(
    "--strict/--no-strict",
    default=None,
    help="The form of session-status that is valid.  [default: what clients may get by the variable "
    f"{_STRICT}, both forms if it has client ids]",
)
@data_option
@handle_local_errors
def sink(port: int, strict: bool | None, data_dir: Path | None) -> None:
    """Run the local HTTPS sink alone.

    It takes notifications at any path, validates each against the contract, prints one line
    for it, and shows all of them at its root page.

    \b
    Example:
      webrtc-events sink --port 8443
    """
    log_to_stderr()
    from webrtc_events.local.stack.environment import possible_forms
    from webrtc_events.local.stack.serve import serve_sink

    forms = possible_forms(os.environ) if strict is None else (strict,)
    serve_sink(port, _data(data_dir), strict=forms, clock=SystemClock(), say=click.echo)


@click.command()
@click.option(
    "--fresh", is_flag=True, help="Against a `serve` of its own: free ports, temporary data, stopped after."
)
@data_option
@handle_local_errors
def demo(fresh: bool, data_dir: Path | None) -> None:
    """Play a recorded call through a running `serve` and check every notification.

    Subscribes three times, publishes the call as a gateway would, and prints each notification
    as it arrives at the local sink. Exits with 0 only if all came, valid and in order, each
    subscription ended once, for the right reason, and nothing more came.

    \b
    Examples:
      webrtc-events demo
      webrtc-events demo --fresh
    """
    from webrtc_events.local.demo.play import Demo, Show
    from webrtc_events.local.stack.own_serve import own_serve

    clock = SystemClock()
    with ExitStack() as stack:
        directory = stack.enter_context(own_serve(os.environ, clock)) if fresh else _data(data_dir)
        api = _client(stack, directory)
        from webrtc_events.local.demo.client import Client

        inbox = Client(ca=directory / "ca" / "ca.pem")
        stack.callback(inbox.close)
        run = Demo(_endpoints(directory), api, inbox, clock, Show(_step, _notification))
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
@click.option("--client", default="local", help="Who asks: the client's id.")
@click.option(
    "--subject", help="The end user (`sub`) of a three-legged token; without it the client acts for itself."
)
@click.option("--scope", "scopes", multiple=True, help="May be repeated.  [default: all scopes]")
@click.option(
    "--expires-in", default=3600, type=click.IntRange(min=1), help="Seconds until the token expires."
)
@data_option
@handle_local_errors
def token(
    client: str, subject: str | None, scopes: tuple[str, ...], expires_in: int, data_dir: Path | None
) -> None:
    """Print an access token that a local `serve` takes.

    \b
    Examples:
      TOKEN=$(webrtc-events token)
      webrtc-events token --client softphone --subject 248289761001 --scope webrtc-events:read
    """
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.stack.issuer import SCOPES

    issuer = _local_issuer(data_dir)
    if not Endpoints.exists(_data(data_dir)):
        click.echo(
            f"No `serve` has run on {_data(data_dir)} yet; this token is for one at the default address.",
            err=True,
        )
    click.echo(issuer.mint(client=client, subject=subject, scopes=scopes or SCOPES, expires_in_s=expires_in))


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--url", help="Base URL of the gateway side.  [default: that of the local `serve`]")
@click.option(
    "--token", "access_token", help="Access token with scope webrtc-events:network.  [default: a local one]"
)
@click.option("--keep-ids", is_flag=True, help="Send each event with the id and time that it has in FILE.")
@data_option
@handle_local_errors
def publish(
    file: BinaryIO, url: str | None, access_token: str | None, keep_ids: bool, data_dir: Path | None
) -> None:
    """Publish network events from FILE, one JSON object a line; `-` reads the standard input.

    Each event gets a new id and the present time, as if it happened now, so that the same file
    can be played again and again. Registrations and sessions keep their names.

    With --keep-ids the events are published as they are, with the distances between their
    times. Then to run it again is safe: an event that was accepted before is a duplicate, and
    nothing is sent for it. Use it for events that did happen, as in a gateway's log.

    Events go out in order, up to 100 at a time, and each answer is awaited. The last line
    counts events that were accepted, duplicates and rejected, the notifications that subscribers
    are sent for them, and the accepted events that are unmatched: no subscription is for them.
    Lines that are rejected are listed with the reason, and the others are still sent. Exits with
    1 if any was rejected.

    \b
    Examples:
      webrtc-events publish call.ndjson
      gateway-log --follow | webrtc-events publish --keep-ids -
    """
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter("must start with http:// or https://", param_hint="--url")
    with ExitStack() as stack:
        client = _client(stack, data_dir) if access_token is None else _client_with(stack, access_token)
        summary = _publish(file, url or _endpoints(data_dir).network, client, keep_ids=keep_ids)
    for hint in summary.hints(kept_ids=keep_ids):
        click.echo(hint, err=True)
    if summary.rejected:
        sys.exit(1)


def _publish(file: BinaryIO, url: str, client: "Client", *, keep_ids: bool) -> "Summary":
    from webrtc_events.local.demo.fresh_events import FreshEvents
    from webrtc_events.local.demo.progress import Progress
    from webrtc_events.local.demo.publisher import Judgement, Publisher, Result, Summary

    clock = SystemClock()
    summary = Summary()
    rejections: list[str] = []
    with Progress(file) as progress:

        def report(result: Result) -> None:
            summary.add(result)
            if result.status is Judgement.REJECTED:
                rejections.append(f"line {result.line}: {result.message}")
                progress.between(rejections)

        renew = None if keep_ids else FreshEvents(clock).renew
        try:
            Publisher(url, client, clock, renew).publish(file, report, progress.advance)
        finally:
            progress.close()
            for rejection in rejections:
                click.echo(rejection, err=True)
            click.echo(str(summary))
    return summary


def _data(given: Path | None) -> Path:
    from webrtc_events.local.files import default_data_directory

    return given or default_data_directory()


def _endpoints(data_dir: Path | None) -> "Endpoints":
    from webrtc_events.local.endpoints import Endpoints

    return Endpoints.read(_data(data_dir))


def _local_issuer(data_dir: Path | None) -> "Issuer":
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.errors import LocalError
    from webrtc_events.local.files import open_data_directory, setup_lock
    from webrtc_events.local.stack.issuer import Issuer
    from webrtc_events.local.stack.keys import SigningKey

    data = open_data_directory(_data(data_dir))
    endpoints = Endpoints.read(data)
    if endpoints.issuer is None:
        raise LocalError(f"the `serve` on {data} takes tokens of another issuer; get one there")
    clock = SystemClock()
    with setup_lock(data, clock):
        key = SigningKey.load_or_make(data)
    return Issuer(endpoints.issuer, key, endpoints.audience, clock)


def _client(stack: ExitStack, data_dir: Path | None) -> "Client":
    """A client of the local `serve` with every scope."""
    from webrtc_events.local.demo.client import Client

    client = Client(_local_issuer(data_dir).mint)
    stack.callback(client.close)
    return client


def _client_with(stack: ExitStack, access_token: str) -> "Client":
    from webrtc_events.local.demo.client import Client

    client = Client(lambda: access_token)
    stack.callback(client.close)
    return client


def _step(text: str) -> None:
    click.secho(text, dim=True)


def _notification(received: "Received") -> None:
    from webrtc_events.local.sink.inbox import styled

    click.echo(styled(received))
