"""The command line. Imports are inside the commands, so that each starts as fast as it can."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from webrtc_events.cli.damaged import damaged
from webrtc_events.cli.dead_letters import dead_letters
from webrtc_events.cli.errors import handle_cli_errors
from webrtc_events.cli.maintenance import erase, new_key, pseudonym, rotate_key
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_config import log_to_stderr

if TYPE_CHECKING:
    from webrtc_events.local.demo.client import Client
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.sink.inbox import Received
    from webrtc_events.local.stack.issuer import Issuer

__all__ = ["main"]

_DATA_DIR = "WEBRTC_EVENTS_DATA_DIR"
_STRICT = "WEBRTC_EVENTS_STRICT_CLOUDEVENTS"


def _data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=_DATA_DIR,
        help=f"Where keys, certificates and the store are kept.  [env: {_DATA_DIR}; default: "
        "$XDG_DATA_HOME/webrtc-events or ~/.local/share/webrtc-events]",
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="webrtc-events")
def main() -> None:
    """A server for the CAMARA WebRTC Events API, and tools around it.

    \b
    On one machine, everything included:
      webrtc-events serve             API, store, issuer and an HTTPS sink
      webrtc-events demo              a whole call through it, checked
    By hand, beside a running `serve`:
      webrtc-events token             an access token for curl
      webrtc-events publish FILE      network events from a file of NDJSON
    In production:
      webrtc-events worker            delivers; the API runs under gunicorn
      webrtc-events dead-letters      events given up: list, show, redeliver, purge
      webrtc-events damaged           records that cannot be read: list, show, drop, repair
      webrtc-events new-key           a key for WEBRTC_EVENTS_SECRET_KEY
      webrtc-events rotate-key        seals stored credentials with a new key
      webrtc-events pseudonym VALUE   how the logs call an address or a registration
      webrtc-events erase             removes what is kept of a registration
    For those who work on a contract:
      webrtc-events stubs SPEC        handler stubs for new operations; --check compares
    """
    if os.environ.get("NO_COLOR"):
        # Source: no-color.org. Commands inherit it.
        click.get_current_context().color = False


main.add_command(damaged)
main.add_command(dead_letters)
main.add_command(erase)
main.add_command(new_key)
main.add_command(pseudonym)
main.add_command(rotate_key)


@main.command()
@click.option("--host", default="127.0.0.1", help="Address of the API and the gateway side.")
@click.option("--port", default=9091, type=click.IntRange(0, 65535), help="Their port; 0 takes a free one.")
@click.option(
    "--sink-port",
    default=9443,
    type=click.IntRange(0, 65535),
    help="Port of the HTTPS sink on localhost; 0 takes a free one.",
)
@_data_option
@handle_cli_errors
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


@main.command()
@handle_cli_errors
def worker() -> None:
    """Deliver notifications and keep time, without an API.

    Any number of workers may share a store. Everything is set by WEBRTC_EVENTS_* in the
    environment. SIGTERM or Ctrl-C lets deliveries under way end.

    \b
    Example:
      export WEBRTC_EVENTS_REDIS_URL=rediss://store:6379
      export WEBRTC_EVENTS_SECRET_KEY=...                (that of the API)
      export WEBRTC_EVENTS_OPENID_CONFIGURATION_URL=...  (that of the API)
      webrtc-events worker
    """
    log_to_stderr()
    from webrtc_events.core.process import prepare_process
    from webrtc_events.core.settings import Settings
    from webrtc_events.core.stop_signals import StopSignals

    prepare_process()
    settings = Settings.from_environ(os.environ)
    # A service manager that waits for the worker is told as gunicorn tells it.
    from gunicorn.systemd import sd_notify

    from webrtc_events.worker import Worker

    with StopSignals() as signals:
        running = Worker.build(settings, SystemClock())
        running.start()
        sd_notify("READY=1", logging.getLogger("webrtc_events"))
        click.echo("Delivering. Ctrl-C stops it in order.", err=True)
        missed = 0
        while not signals.wait(1.0):
            missed = 0 if all(running.alive().values()) else missed + 1
            # Once is no proof: a process that was frozen wakes up here, and in its threads, in any order.
            if missed > 2:
                signals.finish(running.stop)
                raise click.ClickException("a thread of the worker no longer comes round; see the log")
        signals.finish(running.stop)
    if signals.hurried():
        os._exit(130)


@main.command()
@click.option("--client", default="local", help="Who asks: the client's id.")
@click.option(
    "--subject", help="The end user (`sub`) of a three-legged token; without it the client acts for itself."
)
@click.option("--scope", "scopes", multiple=True, help="May be repeated.  [default: all scopes]")
@click.option(
    "--expires-in", default=3600, type=click.IntRange(min=1), help="Seconds until the token expires."
)
@_data_option
@handle_cli_errors
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

    issuer, _ = _local_issuer(data_dir)
    if not Endpoints.exists(_data(data_dir)):
        click.echo(
            f"No `serve` has run on {_data(data_dir)} yet; this token is for one at the default address.",
            err=True,
        )
    click.echo(issuer.mint(client=client, subject=subject, scopes=scopes or SCOPES, expires_in_s=expires_in))


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--url", help="Base URL of the gateway side.  [default: that of the local `serve`]")
@click.option(
    "--token", "access_token", help="Access token with scope webrtc-events:network.  [default: a local one]"
)
@click.option("--keep-ids", is_flag=True, help="Send each event with the id and time that it has in FILE.")
@_data_option
@handle_cli_errors
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
    from webrtc_events.local.demo.fresh_events import FreshEvents
    from webrtc_events.local.demo.progress import Progress
    from webrtc_events.local.demo.publisher import Judgement, Publisher, Result, Summary

    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter("must start with http:// or https://", param_hint="--url")
    given = access_token
    with ExitStack() as stack:
        if given is None:
            client, endpoints = _client(stack, data_dir)
            base = url or endpoints.network
        else:
            from webrtc_events.local.demo.client import Client

            client = Client(lambda: given)
            stack.callback(client.close)
            base = url or _endpoints(data_dir).network
        summary = Summary()
        refused: list[str] = []
        bar = stack.enter_context(Progress(file))

        def report(result: Result) -> None:
            summary.add(result)
            if result.status is Judgement.REJECTED:
                refused.append(f"line {result.line}: {result.message}")
                bar.between(refused)

        clock = SystemClock()
        renew = None if keep_ids else FreshEvents(clock).renew
        try:
            Publisher(base, client, clock, renew).publish(file, report, bar.advance)
        finally:
            bar.close()
            for line in refused:
                click.echo(line, err=True)
            click.echo(str(summary))
    for hint in summary.hints(kept_ids=keep_ids):
        click.echo(hint, err=True)
    if summary.rejected:
        sys.exit(1)


@main.command()
@click.option(
    "--port", default=9443, type=click.IntRange(0, 65535), help="Port on localhost; 0 takes a free one."
)
@click.option(
    "--strict/--no-strict",
    default=None,
    help="The form of session-status that is valid.  [default: what clients may get by the variable "
    f"{_STRICT}, both forms if it has client ids]",
)
@_data_option
@handle_cli_errors
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


@main.command()
@click.option(
    "--fresh", is_flag=True, help="Against a `serve` of its own: free ports, temporary data, stopped after."
)
@_data_option
@handle_cli_errors
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
        api, endpoints = _client(stack, directory)
        from webrtc_events.local.demo.client import Client

        inbox = Client(ca=directory / "ca" / "ca.pem")
        stack.callback(inbox.close)
        run = Demo(endpoints, api, inbox, clock, Show(_step, _notification))
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


@main.command()
@click.argument("spec", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; list where contract and handlers disagree.")
@click.option(
    "--module",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file with the handlers.  [default: in handlers/, with the name of SPEC in snake case]",
)
def stubs(spec: Path | None, check: bool, module: Path | None) -> None:
    """Write handler stubs for the operations of SPEC, an OpenAPI document.

    Appends to the handlers' file a typed function for each operation that has none yet. It
    answers 501 until it is written. What is there already stays as it is.

    With --check and without SPEC, all contracts that ship are looked at. Exits with 1 if
    contract and handlers disagree. The files are read and not imported.

    \b
    Examples:
      webrtc-events stubs spec/network-events.yaml
      webrtc-events stubs my-api.yaml --module src/my_handlers.py
      webrtc-events stubs --check
    """
    if spec is None and not check:
        raise click.UsageError("Name the document to write stubs for.")
    if spec is None and module is not None:
        raise click.UsageError("Name the document whose handlers are in --module.")
    from webrtc_events.stubs import StubsError

    try:
        if spec is None or check:
            _check_stubs(spec, module)
        else:
            _write_stubs(spec, module)
    except StubsError as error:
        raise click.ClickException(str(error)) from error


def _check_stubs(spec: Path | None, module: Path | None) -> None:
    from webrtc_events.stubs import find_drift, shipped_targets, target

    shipped = shipped_targets()
    targets = shipped if spec is None else [target(spec, module)]
    drift = find_drift(targets, shipped)
    for each in drift:
        click.echo(each)
    if drift:
        sys.exit(1)
    for checked in targets:
        count = len(checked.document.operations)
        click.echo(f"{checked.document.path}: {count} operations agree with {checked.module}")


def _write_stubs(spec: Path, module: Path | None) -> None:
    from webrtc_events.stubs import target, write_stubs

    goal = target(spec, module, create=True)
    written = write_stubs(goal)
    for stub in written:
        click.echo(stub)
    if not written:
        click.echo(f"{goal.module} has a function for every operation of {spec}")


def _data(given: Path | None) -> Path:
    from webrtc_events.local.files import default_data_directory

    return given or default_data_directory()


def _endpoints(data_dir: Path | None) -> "Endpoints":
    from webrtc_events.local.endpoints import Endpoints

    return Endpoints.read(_data(data_dir))


def _local_issuer(data_dir: Path | None) -> "tuple[Issuer, Endpoints]":
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
    return Issuer(endpoints.issuer, key, endpoints.audience, clock), endpoints


def _client(stack: ExitStack, data_dir: Path | None) -> "tuple[Client, Endpoints]":
    """A client of the local `serve` with every scope."""
    from webrtc_events.local.demo.client import Client

    issuer, endpoints = _local_issuer(data_dir)
    client = Client(issuer.mint)
    stack.callback(client.close)
    return client, endpoints


def _step(text: str) -> None:
    click.secho(text, dim=True)


def _notification(received: "Received") -> None:
    from webrtc_events.local.sink.inbox import styled

    click.echo(styled(received))
