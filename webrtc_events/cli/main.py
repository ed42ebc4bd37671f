"""The command line. Commands import what they run when they run, so that each starts fast."""

import os

import click

from webrtc_events.cli.bench.command import bench
from webrtc_events.cli.console import console
from webrtc_events.cli.damaged import damaged
from webrtc_events.cli.dead_letters import dead_letters
from webrtc_events.cli.doctor.command import doctor
from webrtc_events.cli.gateways import gateway
from webrtc_events.cli.interrupts import kept_interrupts
from webrtc_events.cli.listening import forward, listen
from webrtc_events.cli.local import demo, publish, serve, sink, token
from webrtc_events.cli.maintenance import erase, new_key, pseudonym, rotate_key
from webrtc_events.cli.migration.command import migrate
from webrtc_events.cli.operator_events import operator_events
from webrtc_events.cli.sessions import sessions
from webrtc_events.cli.settings import settings
from webrtc_events.cli.simulate import simulate
from webrtc_events.cli.sinks import sinks
from webrtc_events.cli.stubs import stubs
from webrtc_events.cli.subscriptions import subscriptions
from webrtc_events.cli.worker import worker

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="webrtc-events")
def main() -> None:
    """A server for the CAMARA WebRTC Events API, and tools for it.

    \b
    On one machine, with everything included:
      webrtc-events serve             runs API, store, token issuer and HTTPS sink
      webrtc-events demo              plays a recorded call and checks every notification
      webrtc-events sink              runs the HTTPS sink alone
    By hand, beside a running `serve`:
      webrtc-events token             prints an access token for curl
      webrtc-events publish FILE      publishes network events from a file of NDJSON
      webrtc-events listen            prints notifications as they come
      webrtc-events forward           POSTs notifications to an application on this machine
      webrtc-events simulate          plays calls, recorded or composed, one or many
    In production:
      webrtc-events worker            delivers; the API runs under gunicorn
      webrtc-events console           pages for operators: subscriptions, deliveries, dead letters
      webrtc-events subscriptions     of whichever client: list, show, end
      webrtc-events sessions          what is known of a media session, and its trace: show
      webrtc-events sinks             hosts of sinks, and what waits for them: list, show
      webrtc-events dead-letters      events that were given up: list, show, redeliver, export, purge
      webrtc-events damaged           records that cannot be read: list, show, drop, repair
      webrtc-events operator-events   the operator's own sink: test, show
      webrtc-events settings          shows or checks the settings, and where each comes from
      webrtc-events new-key           prints a key for WEBRTC_EVENTS_SECRET_KEY
      webrtc-events rotate-key        seals stored credentials with a new key
      webrtc-events pseudonym VALUE   prints what the logs show for an address or a registration
      webrtc-events erase             removes the data of a registration, or of a device
      webrtc-events migrate           shows what subscriptions of 0.2 would be under version 0.3
      webrtc-events doctor            looks for what is wrong with this installation
      webrtc-events bench             measures this installation for a minute
    Beside a WebRTC gateway:
      webrtc-events gateway NAME      publishes what a gateway does: janus, kamailio
    For authors of contracts:
      webrtc-events stubs SPEC        writes handler stubs; --check compares contract and handlers
    \b
    Completion of commands and options, in a shell's start file:
      eval "$(_WEBRTC_EVENTS_COMPLETE=bash_source webrtc-events)"     (zsh_source, fish_source)
    """
    context = click.get_current_context()
    context.with_resource(kept_interrupts())
    if os.environ.get("NO_COLOR"):
        # Source: no-color.org. Commands inherit it.
        context.color = False


for command in (
    serve,
    sink,
    demo,
    token,
    publish,
    listen,
    forward,
    simulate,
    gateway,
    worker,
    console,
    subscriptions,
    sessions,
    sinks,
    dead_letters,
    damaged,
    operator_events,
    settings,
    migrate,
    doctor,
    bench,
    new_key,
    rotate_key,
    pseudonym,
    erase,
    stubs,
):
    main.add_command(command)
