"""`webrtc-events bench`: measures this installation for a minute, and cleans up after itself."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from webrtc_events.cli.error_handling import handle_local_errors
from webrtc_events.cli.options import config_option, data_option, given_environ, read_settings

if TYPE_CHECKING:
    from webrtc_events.cli.bench.measuring import Figures
    from webrtc_events.core.clock import Clock
    from webrtc_events.core.setting_sources import SettingTexts
    from webrtc_events.core.settings import Settings
    from webrtc_events.store.store import Store

__all__ = ["bench", "local_texts_of"]

_INTERRUPTED: Final = 130


@click.command()
@click.option(
    "--sink", metavar="URL", help="Deliver to this sink, which has to answer 2xx.  [default: its own]"
)
@click.option(
    "--seconds",
    type=click.IntRange(6, 600),
    default=60,
    help="How long to measure.",
)
@click.option(
    "--local", "is_local", is_flag=True, help="Measure the `serve` that runs on the data directory."
)
@click.option(
    "--yes", is_flag=True, help="Also where others have active subscriptions, whom it will slow down."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@data_option
@config_option
@handle_local_errors
def bench(
    sink: str | None, seconds: int, is_local: bool, yes: bool, as_json: bool, data_dir: Path | None
) -> None:
    """Measure this installation for a minute: its store, its workers, and the way to a sink.

    Makes 64 subscriptions of a client apart (webrtc-events-bench), and events of some 2.5 kB for
    them: first 100 a second, for the latency; then as many as are accepted; then none, until all
    are delivered. Events are accepted by this command, as an API process does it, without HTTP.
    Workers have to run. In the end it removes what it made, also after Ctrl-C; what a killed run
    left behind, the next one removes.

    Without --sink it runs one on loopback. That needs the packages of `serve` (pip install
    'webrtc-events[local]'), and workers that may deliver there.

    Needs the worker's settings, in the environment or by --config, or --local. Exits with 0 if it
    measured, with 1 if it could not or would not, with 130 after Ctrl-C.

    \b
    Examples:
      webrtc-events bench --local
      webrtc-events bench --sink https://sink.example/bench --json
    """
    from webrtc_events.cli.bench.words import lines
    from webrtc_events.cli.local_access import data_directory
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.core.settings import Settings
    from webrtc_events.store.store import Store

    clock = SystemClock()
    data = data_directory(data_dir)
    settings = Settings.from_texts(local_texts_of(data, clock)) if is_local else read_settings()
    store = Store.connect(settings)
    try:
        _refuse(store, settings, clock, yes=yes)
        with _sink(sink, data, settings, clock) as url:
            figures = _run(store, settings, url, seconds, clock)
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps(figures.document()))
    else:
        for line in lines(figures, own_sink=sink is None):
            click.echo(line)
    if figures.interrupted:
        sys.exit(_INTERRUPTED)


def local_texts_of(data: Path, clock: "Clock") -> "SettingTexts":
    """The settings of the `serve` on the data directory."""
    from webrtc_events.cli.local_access import endpoints_of
    from webrtc_events.core.settings import SettingsError, given_texts
    from webrtc_events.local.endpoints import Endpoints
    from webrtc_events.local.local_error import LocalError
    from webrtc_events.local.stack.ca import server_certificate
    from webrtc_events.local.stack.environment import local_texts
    from webrtc_events.local.stack.key_files import secret_key
    from webrtc_events.local.stack.valkey import Valkey

    if not Endpoints.exists(data):
        raise LocalError(f"no `serve` has run on {data}; start one: webrtc-events serve")
    issuer = endpoints_of(data).issuer or "https://issuer.invalid"
    given, faults = given_texts(given_environ())
    if faults:
        raise SettingsError(faults)
    return local_texts(
        given,
        redis_url=Valkey(data.resolve(), clock).url,
        openid_configuration_url=f"{issuer}/.well-known/openid-configuration",
        secret_key=secret_key(data),
        ca=server_certificate(data, clock).ca,
    )


def _refuse(store: "Store", settings: "Settings", clock: "Clock", *, yes: bool) -> None:
    """Where it would measure nothing, or disturb others."""
    from webrtc_events.services.figures import read_figures

    if not read_figures(store, settings.store_watermark).running("worker"):
        raise click.ClickException(
            "no worker runs, so nothing would be delivered; start one: webrtc-events worker"
        )
    if not yes and _others_subscribe(store, clock):
        raise click.ClickException(
            "others have active subscriptions here, whose notifications would be late; --yes does it"
        )


def _others_subscribe(store: "Store", clock: "Clock") -> bool:
    from webrtc_events.cli.bench.load import CLIENT
    from webrtc_events.services.subscription_filters import STATUSES
    from webrtc_events.store.subscription_rows import SubscriptionFilter
    from webrtc_events.store.subscription_search import Cursor, SubscriptionSearch

    search = SubscriptionSearch(store, clock)
    place, is_last = Cursor(), False
    while not is_last:
        page = search.page(SubscriptionFilter(statuses=STATUSES["live"]), place)
        if any(row.client != CLIENT for row in page.rows):
            return True
        place, is_last = page.reached, page.is_last
    return False


@contextmanager
def _sink(given: str | None, data: Path, settings: "Settings", clock: "Clock") -> Iterator[str]:
    from webrtc_events.sinks.addresses import AddressPolicy
    from webrtc_events.sinks.sink_url import check_sink_url

    if given is not None:
        policy = AddressPolicy(settings.sink_allowed_networks, settings.sink_ports)
        try:
            checked = check_sink_url(given, policy)
        except ValueError as fault:
            raise click.BadParameter(str(fault), param_hint="--sink") from None
        yield checked
        return
    from importlib.util import find_spec

    if find_spec("a2wsgi") is None or find_spec("flask") is None:
        raise click.ClickException(
            "a sink of its own needs packages that are not installed: pip install 'webrtc-events[local]'; "
            "or give one with --sink URL"
        )
    from webrtc_events.cli.bench.own_sink import own_sink

    with own_sink(data, settings, clock) as url:
        yield url


def _run(store: "Store", settings: "Settings", url: str, seconds: int, clock: "Clock") -> "Figures":
    """No signal interrupts it before it has cleaned up."""
    from webrtc_events.cli.bench.load import Load
    from webrtc_events.cli.bench.measuring import measure
    from webrtc_events.core.stop_signals import StopSignals

    with StopSignals() as signals:
        load = Load(store, settings, clock)
        if left := load.clean_up():
            click.echo(f"{left} subscriptions of a run that was killed are removed.", err=True)
        try:
            load.subscribe(url)
            return measure(load, store, seconds, clock, signals)
        finally:
            if signals.asked():
                click.echo("Interrupted; what it made is removed first.", err=True)
            load.clean_up()
