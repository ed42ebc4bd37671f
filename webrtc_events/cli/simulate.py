"""`webrtc-events simulate`: plays calls, recorded or composed, one or thousands."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webrtc_events.cli.error_handling import handle_local_errors
from webrtc_events.cli.local_access import endpoints_of, local_issuer
from webrtc_events.cli.options import data_option
from webrtc_events.core.clock import SystemClock

if TYPE_CHECKING:
    from webrtc_events.local.simulation.progress import Progress
    from webrtc_events.local.simulation.request import SimulationRequest
    from webrtc_events.local.simulation.simulations import Simulations

__all__ = ["simulate"]

_WATCH_S = 0.2
# An answer that is awaited comes within half a minute, or never.
_STOP_S = 35.0
_INTERRUPTED = 130

# The option of each field of the form that `SimulationRequest.from_form` reads.
_OPTIONS = {
    "call": "--call",
    "originator_address": "--from",
    "originator_name": "--from-name",
    "receiver_address": "--to",
    "receiver_name": "--to-name",
    "outcome": "--outcome",
    "ringing_s": "--ringing",
    "talk_s": "--talk",
    "hold": "--hold",
    "sdp": "--sdp",
    "seed": "--seed",
    "calls": "--calls",
    "rate": "--rate",
    "speed": "--speed",
    "registration": "--registration",
    "session": "--session",
}


class _CallOption(click.Option):
    """Its help names the recorded calls that there are."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from webrtc_events.local.recordings import recording_names

        self.help = f"`composed`, or the name of a recorded call: {', '.join(recording_names())}."
        return super().get_help_record(ctx)


@click.command()
@click.option("--call", cls=_CallOption, default="composed")
@click.option("--calls", default="1", metavar="N", help="How many calls, 1 to 10,000.")
@click.option("--rate", default="1", metavar="NUMBER", help="Calls started a second, 0.01 to 500.")
@click.option(
    "--speed", default="1", metavar="NUMBER", help="1 is real time, 10 ten times as fast; `max` waits never."
)
@click.option("--registration", metavar="ID", help="The registration called.  [default: that of the call]")
@click.option(
    "--session", metavar="ID", help="The mediaSessionId of a single call.  [default: a new one for each]"
)
@click.option("--from", "originator_address", default="tel:+12025550143", help="Composed: who calls.")
@click.option("--from-name", "originator_name", help="Composed: the caller's name.")
@click.option("--to", "receiver_address", default="tel:+12025550178", help="Composed: who is called.")
@click.option("--to-name", "receiver_name", help="Composed: the name of the party called.")
@click.option(
    "--outcome",
    default="answered",
    help="Composed: answered, declined, cancelled, no-answer, busy, not-reachable or failed.",
)
@click.option("--ringing", "ringing_s", default="5", metavar="SECONDS", help="Composed: 0 to 300.")
@click.option("--talk", "talk_s", default="30", metavar="SECONDS", help="Composed: 0 to 86,400.")
@click.option("--hold", is_flag=True, help="Composed: the call is held for a third of its time.")
@click.option("--sdp/--no-sdp", default=True, help="Composed: with session descriptions or without.")
@click.option("--seed", default="1", metavar="N", help="Composed: the same seed makes the same call.")
@click.option("--print", "prints", is_flag=True, help="Print the events of one call, and play none.")
@click.option("--url", help="Base URL of the gateway side.  [default: the local `serve`]")
@click.option(
    "--token", "access_token", help="Access token with scope webrtc-events:network.  [default: a local token]"
)
@data_option
@handle_local_errors
def simulate(
    *,
    prints: bool,
    url: str | None,
    access_token: str | None,
    data_dir: Path | None,
    **fields: str | bool | None,
) -> None:
    """Play calls through a running `serve`, as a gateway would.

    A call is composed of the options that say so, or recorded. Each call gets new ids, a new
    session and the present time; its events keep their distances, divided by --speed. A
    composed call is for a registration that depends on --to alone: subscribe to it first.

    An event that is refused is counted, and the rest goes on. Ctrl-C stops after the answer
    to what was sent. The last line counts calls, events and the notifications for
    subscribers. Exits with 1 if an event failed, with 130 if it was stopped.

    \b
    Examples:
      webrtc-events simulate --outcome no-answer --ringing 20
      webrtc-events simulate --call answered --speed 10
      webrtc-events simulate --calls 1000 --rate 50 --speed max --no-sdp
      webrtc-events simulate --seed 7 --print > call.ndjson
    """
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter("must start with http:// or https://", param_hint="--url")
    request = _request(fields)
    if prints:
        _print(request)
        return
    from webrtc_events.local.demo.http_client import HttpClient
    from webrtc_events.local.simulation.simulations import Simulations

    token = (lambda: access_token) if access_token is not None else local_issuer(data_dir).mint
    simulations = Simulations(url or endpoints_of(data_dir).network, lambda: HttpClient(token), SystemClock())
    sys.exit(_run(simulations, request))


def _request(fields: Mapping[str, str | bool | None]) -> "SimulationRequest":
    from webrtc_events.local.simulation.form_fields import FormErrors
    from webrtc_events.local.simulation.request import SimulationRequest

    words = {True: "on", False: "off"}
    form = {
        name: words[value] if isinstance(value, bool) else value
        for name, value in fields.items()
        if value is not None
    }
    try:
        return SimulationRequest.from_form(form)
    except FormErrors as errors:
        text = "\n".join(f"  {_OPTIONS[name]} {message}" for name, message in errors.fields.items())
        raise click.UsageError(f"some values cannot be:\n{text}") from errors


def _print(request: "SimulationRequest") -> None:
    from webrtc_events.local.simulation.call_copies import ALWAYS_THE_SAME, copies_of

    for event in copies_of(request, ALWAYS_THE_SAME).call(0):
        click.echo(json.dumps(event, ensure_ascii=False, separators=(",", ":")))


def _run(simulations: "Simulations", request: "SimulationRequest") -> int:
    """The exit status."""
    from webrtc_events.core.stop_signals import StopSignals
    from webrtc_events.local.simulation.progress import State
    from webrtc_events.local.simulation.progress_text import summary

    with StopSignals() as signals:
        name = simulations.start(request)
        if (begun := simulations.progress(name)) is not None:
            click.echo(f"The registration called is {begun.registration}", err=True)
        while not simulations.wait(name, _WATCH_S) and not signals.asked():
            _show(simulations.progress(name))
        simulations.stop(name)
        signals.finish(lambda: simulations.wait(name, _STOP_S))
        done = simulations.progress(name)
    if done is None:
        raise RuntimeError("a simulation that was just started is forgotten")
    _show(None)
    first, *others = summary(done)
    click.echo(first)
    for line in others:
        click.echo(line, err=True)
    if done.state in {State.STOPPED, State.STOPPING}:
        return _INTERRUPTED
    return 1 if done.failed or done.state is State.FAILED else 0


def _show(progress: "Progress | None") -> None:
    """Writes the line over the one before, if there is a terminal; None removes it."""
    from webrtc_events.local.simulation.progress_text import progress_line

    if sys.stderr.isatty():
        text = "" if progress is None else progress_line(progress)
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)
