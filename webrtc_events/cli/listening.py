"""`webrtc-events listen` and `forward`: notifications on a machine that no sink URL reaches."""

import hashlib
import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webrtc_events.cli.error_handling import handle_local_errors
from webrtc_events.cli.local_access import client_of, client_with, endpoints_of
from webrtc_events.cli.options import data_option

if TYPE_CHECKING:
    from webrtc_events.local.listening.channel_client import ChannelClient
    from webrtc_events.local.listening.listener import Listener

__all__ = ["forward", "listen"]

_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _what_to_listen_to(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of both commands."""
    for option in (
        data_option,
        click.option("--token", "access_token", help="Access token.  [default: a local token]"),
        click.option("--url", help="Address of the service.  [default: the local `serve`]"),
        click.option("--device", help="A device, by its UUID: all of its registrations and calls (0.3)."),
        click.option("--session", help="A media session."),
        click.option("--registration", help="A registration, with the calls that come in for it."),
    ):
        command = option(command)
    return command


@click.command()
@_what_to_listen_to
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@handle_local_errors
def listen(
    registration: str | None,
    session: str | None,
    device: str | None,
    url: str | None,
    access_token: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Print notifications as they come, until Ctrl-C.

    Makes a notification channel, subscribes for it, and reads it; the end of the command deletes it.
    Calls that come in for the registration are followed to their ends. --device needs a service
    that serves 0.3 (WEBRTC_EVENTS_NEXT=true).

    \b
    Examples:
      webrtc-events listen --registration 96eozbrct6g2kw7ybh538sbv
      webrtc-events listen --session 0AEE1B58BAEEDA3EABA42B32EBB3DFE0 --json
      webrtc-events listen --device 7d444840-9dc0-11d1-b245-5ffdce74fad2
    """
    from webrtc_events.local.listening.event_line import describe

    with ExitStack() as stack:
        client, listener = _listener(stack, registration, session, device, url, access_token, data_dir)
        channel = client.make()
        stack.callback(client.delete, channel)
        listener.subscribe(channel)
        click.echo(f"Listening. {channel.sink}", err=True)
        with _until_stopped():
            for event in listener.events(channel):
                click.echo(json.dumps(event.content) if as_json else describe(event))


@click.command()
@_what_to_listen_to
@click.option("--to", required=True, help="URL of the application, such as http://localhost:3000/hook.")
@click.option(
    "--since", help="Forward again what happened since then: a time before now, such as 90s, 10m, 2h or 1d."
)
@click.option("--forget", is_flag=True, help="Delete the channel at the end; the next run begins anew.")
@handle_local_errors
def forward(
    registration: str | None,
    session: str | None,
    device: str | None,
    url: str | None,
    access_token: str | None,
    data_dir: Path | None,
    to: str,
    since: str | None,
    forget: bool,
) -> None:
    """POST notifications to an application on this machine, until Ctrl-C.

    The application gets what its sink would: each CloudEvent as a POST, in order, and again until it
    answers. The channel stays: the next run with the same options goes on where this one ended, and
    forwards what came meanwhile. --since forwards again what the channel still has.

    \b
    Examples:
      webrtc-events forward --registration 96eozbrct6g2kw7ybh538sbv --to http://localhost:3000/hook
      webrtc-events forward --session 0AEE1B58 --to http://localhost:3000/hook --since 10m
    """
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.local.listening.event_line import describe
    from webrtc_events.local.listening.forwarding import Forwarder, ForwardState

    if not to.startswith(("http://", "https://")):
        raise click.BadParameter("must start with http:// or https://", param_hint="--to")
    clock = SystemClock()
    since_ms = None if since is None else round(1000 * (clock.now() - _seconds(since)))
    with ExitStack() as stack:
        client, listener = _listener(stack, registration, session, device, url, access_token, data_dir)
        state = ForwardState(_state_file(data_dir, to, registration, session, url, *filter(None, [device])))
        channel = state.channel
        if channel is None or not client.is_there(channel):
            channel = state.begin(client.make())
        if forget:
            stack.callback(state.forget)
            stack.callback(client.delete, channel)
        listener.subscribe(channel)
        forwarder = Forwarder(to, clock, lambda text: click.echo(text, err=True), since_ms)
        stack.callback(forwarder.close)
        click.echo(f"Forwarding to {to}. {channel.sink}", err=True)
        with _until_stopped():
            for event in listener.events(channel, "" if since is not None else state.cursor):
                result = "" if event.type == "gap" else forwarder.forward(event)
                state.move(event.id)
                click.echo(f"{describe(event)}  {result}".rstrip())


def _listener(
    stack: ExitStack,
    registration: str | None,
    session: str | None,
    device: str | None,
    url: str | None,
    access_token: str | None,
    data_dir: Path | None,
) -> "tuple[ChannelClient, Listener]":
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.local.listening.channel_client import ChannelClient
    from webrtc_events.local.listening.listener import Listener, Wanted

    if registration is None and session is None and device is None:
        raise click.UsageError("name a --registration, a --session, or both; or a --device")
    if device is not None and (registration is not None or session is not None):
        raise click.UsageError("a --device covers its registrations and sessions: leave them out")
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter("must start with http:// or https://", param_hint="--url")
    endpoints = endpoints_of(data_dir)
    http = client_of(stack, data_dir) if access_token is None else client_with(stack, access_token)
    client = ChannelClient((url or endpoints.api).rstrip("/"), http)
    return client, Listener(client, Wanted(registration, session, device), SystemClock())


def _state_file(data_dir: Path | None, *options: str | None) -> Path:
    """One for each set of options."""
    from webrtc_events.local.data_directory import default_data_directory, open_data_directory

    name = hashlib.sha256(json.dumps(options).encode()).hexdigest()[:16]
    return open_data_directory(data_dir or default_data_directory()) / f"forward-{name}.json"


def _seconds(since: str) -> int:
    match = _SPAN.fullmatch(since)
    if match is None:
        raise click.BadParameter("must be such as 90s, 10m, 2h or 1d", param_hint="--since")
    return int(match[1]) * _SECONDS[match[2]]


@contextmanager
def _until_stopped() -> Iterator[None]:
    """Ctrl-C or SIGTERM ends the block, and what comes after it is done."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
