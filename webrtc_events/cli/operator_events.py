"""`webrtc-events operator-events`: tries the operator's own sink, and shows what was reported to it."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.operator_access import opened_store
from webrtc_events.cli.options import config_option

if TYPE_CHECKING:
    from webrtc_events.operator_events.conditions import Conditions
    from webrtc_events.store.operator_outbox import OperatorOutboxStatus
    from webrtc_events.store.store import Store

__all__ = ["operator_events"]

_LOOK_S: Final = 0.2
_HEADS: Final = ("SINCE", "WHAT", "ABOUT", "SUBSCRIPTIONS")
_ATTEMPT_HEADS: Final = ("AT", "TYPE", "ATTEMPT", "OUTCOME", "WHY")
_UNSET: Final = (
    "WEBRTC_EVENTS_OPERATOR_SINK is not set: no worker sends anything. Set it for the workers and for this "
    "command, to the https URL of a sink of yours"
)


@click.group("operator-events")
def operator_events() -> None:
    """Try the operator's own sink, and show what was reported to it.

    Workers send it CloudEvents when a sink of a subscriber fails and when it is back, when dead letters
    are many, and when the store is full; see docs/operations/operator-events.md.

    Needs the worker's settings, in the environment or by --config.

    \b
    Examples:
      webrtc-events operator-events test
      webrtc-events operator-events show
    """


@operator_events.command()
@click.option("--message", default="This is a test.", help="What the event says.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0, max=3600),
    default=30,
    metavar="SECONDS",
    help="For how long to wait until a worker has sent it; 0 does not wait.",
)
@config_option
@handle_cli_errors
def test(message: str, wait_s: float) -> None:
    """Send a test event the way that all go: into the store, from where a worker sends it.

    Exits with 0 once the sink has taken it. Else with 1: the event waits, and is sent later if it can be.

    \b
    Example:
      webrtc-events operator-events test --message 'does this reach the night shift?'
    """
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.operator_events.testing import append_test

    with opened_store() as (settings, store):
        if settings.operator_sink is None:
            raise click.ClickException(_UNSET)
        event_id = append_test(store.operator_outbox, settings.source, message)
        click.echo(f"Event {event_id} waits for a worker.", err=True)
        if wait_s:
            _await(store, event_id, wait_s, SystemClock())


def _await(store: "Store", event_id: str, wait_s: float, clock: Any) -> None:
    """Ends the command as the event ends."""
    until = clock.monotonic() + wait_s
    while True:
        attempts = [a for a in store.operator_outbox.status().attempts if a["event"] == event_id]
        outcome = attempts[-1]["outcome"] if attempts else None
        if outcome == "delivered":
            click.echo(f"Delivered: {_result(attempts[-1])}")
            return
        if outcome == "drop":
            why = _result(attempts[-1])
            raise click.ClickException(f"the sink will not take it, and it is given up: {why}")
        if clock.monotonic() >= until:
            break
        clock.sleep(_LOOK_S)
    if attempts:
        text = f"it is not taken yet, and is tried again: {_result(attempts[-1])}"
    else:
        text = (
            "no worker has sent it yet. Does one run with WEBRTC_EVENTS_OPERATOR_SINK set, or do others wait "
            "before it? See: webrtc-events operator-events show"
        )
    raise click.ClickException(text)


def _result(attempt: Mapping[str, Any]) -> str:
    parts = [attempt["reason"], attempt.get("detail"), f"in {attempt['ms']} ms"]
    if attempt["status"] is not None:
        parts.insert(0, f"HTTP {attempt['status']}")
    return ", ".join(part for part in parts if part)


@operator_events.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@config_option
@handle_cli_errors
def show(as_json: bool) -> None:
    """Show what was reported and is not over, what waits for it, and the latest attempts.

    \b
    Examples:
      webrtc-events operator-events show
      webrtc-events operator-events show --json | jq '.waiting'
    """
    from webrtc_events.operator_events.watching import read_conditions

    with opened_store() as (settings, store):
        status = store.operator_outbox.status()
        conditions = read_conditions(store.operator_outbox.conditions())
    if settings.operator_sink is None:
        click.echo(_UNSET + ".", err=True)
    document = _document(settings.operator_sink, status, conditions)
    if as_json:
        click.echo(json.dumps(document))
        return
    from webrtc_events.cli.tables import echo_lines

    echo_lines(_lines(document))
    sys.stdout.flush()


def _document(sink: str | None, status: "OperatorOutboxStatus", conditions: "Conditions") -> dict[str, Any]:
    from webrtc_events.core.sink_hosts import host_of

    oldest_s = None if status.oldest_ms is None else max(0, status.now_ms - status.oldest_ms) / 1000
    return {
        "sink": None if sink is None else host_of(sink),
        "waiting": status.waiting,
        "oldestSeconds": oldest_s,
        "givenUp": status.given_up,
        "conditions": list(_conditions(conditions)),
        "attempts": list(status.attempts),
    }


def _conditions(kept: "Conditions") -> Iterator[dict[str, Any]]:
    from webrtc_events.core.clock import format_time

    for host, sink in kept.sinks.items():
        reported = {"sink-circuit-opened": sink.opened, "sink-failing": sink.failing_sent}
        for kind in [kind for kind, is_reported in reported.items() if is_reported and sink.since]:
            count = len(sink.failing) if kind == "sink-failing" else None
            yield {"type": kind, "subject": host, "since": format_time(sink.since), "subscriptions": count}
    others = {
        ("sink-alerts-limited", "sinks"): kept.limited,
        ("dead-letters-high", "dead-letters"): kept.dead_letters,
        ("store-above-watermark", "store"): kept.full,
    }
    for (kind, subject), since in others.items():
        if since:
            yield {"type": kind, "subject": subject, "since": format_time(since), "subscriptions": None}


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    from webrtc_events.cli.tables import labelled, table
    from webrtc_events.core.clock import format_time

    oldest = document["oldestSeconds"]
    facts = [
        ("sink", document["sink"] or "none"),
        ("waiting", document["waiting"]),
        ("oldest", None if oldest is None else f"{oldest:.0f} s ago"),
        ("given up", document["givenUp"]),
    ]
    yield from labelled(facts)
    yield ""
    if document["conditions"]:
        names = ("since", "type", "subject", "subscriptions")
        yield from table(_HEADS, ([found[name] for name in names] for found in document["conditions"]))
    else:
        yield "Nothing that was reported is still wrong."
    if document["attempts"]:
        yield ""
        rows = (
            [format_time(a["at"]), a["type"], a["attempt"], a["outcome"], _result(a)]
            for a in document["attempts"]
        )
        yield from table(_ATTEMPT_HEADS, rows)
