"""The command line. A command is loaded when it is asked for, and imports what it runs when it runs."""

import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

import click

from webrtc_events.cli.interrupts import kept_interrupts

__all__ = ["main"]

_PLACES: Final[Mapping[str, str]] = {
    "serve": "webrtc_events.cli.local:serve",
    "sink": "webrtc_events.cli.local:sink",
    "demo": "webrtc_events.cli.local:demo",
    "token": "webrtc_events.cli.local:token",
    "publish": "webrtc_events.cli.local:publish",
    "listen": "webrtc_events.cli.listening:listen",
    "forward": "webrtc_events.cli.listening:forward",
    "simulate": "webrtc_events.cli.simulate:simulate",
    "gateway": "webrtc_events.cli.gateways:gateway",
    "worker": "webrtc_events.cli.worker:worker",
    "console": "webrtc_events.cli.console:console",
    "subscriptions": "webrtc_events.cli.subscriptions:subscriptions",
    "sessions": "webrtc_events.cli.sessions:sessions",
    "sinks": "webrtc_events.cli.sinks:sinks",
    "dead-letters": "webrtc_events.cli.dead_letters:dead_letters",
    "damaged": "webrtc_events.cli.damaged:damaged",
    "operator-events": "webrtc_events.cli.operator_events:operator_events",
    "settings": "webrtc_events.cli.settings:settings",
    "migrate": "webrtc_events.cli.migration.command:migrate",
    "doctor": "webrtc_events.cli.doctor.command:doctor",
    "bench": "webrtc_events.cli.bench.command:bench",
    "new-key": "webrtc_events.cli.maintenance:new_key",
    "rotate-key": "webrtc_events.cli.maintenance:rotate_key",
    "pseudonym": "webrtc_events.cli.maintenance:pseudonym",
    "erase": "webrtc_events.cli.maintenance:erase",
    "stubs": "webrtc_events.cli.stubs:stubs",
}
"""Of each command its module, and its name there."""


class _Commands(Mapping[str, click.Command]):
    """By name; each is loaded when it is looked up, so that one starts without the others."""

    def __getitem__(self, name: str) -> click.Command:
        module, _, variable = _PLACES[name].partition(":")
        try:
            command: click.Command = getattr(import_module(module), variable)
        except KeyError as error:
            # `get` would take it for a command that is not there.
            raise ImportError(f"{module} cannot be loaded") from error
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


@click.group(
    commands=_Commands(), context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
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
