"""`webrtc-events sinks`: hosts of sinks as the workers and the store see them."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.operator_access import opened_store
from webrtc_events.cli.options import config_option

if TYPE_CHECKING:
    from webrtc_events.core.settings import Settings
    from webrtc_events.services.figures import Figures, Process
    from webrtc_events.services.sink_hosts import SinkHost

__all__ = ["sinks"]

_HEADS: Final = ("HOST", "CIRCUIT", "EVENTS", "OLDEST", "SUBSCRIPTIONS", "IN FLIGHT", "LIMIT", "SAID BY")


@click.group()
def sinks() -> None:
    """List and show hosts of sinks: health, limits, and what waits for them.

    A host is a scheme, a name and a port, which many sinks may share. Each worker has its own state
    of a host, in memory, and reports every few seconds on up to 50 hosts that are not well. What
    waits is counted in the store, in up to 1,000 outboxes. So a host that is well and for which
    nothing waits is not listed.

    Needs the worker's settings, in the environment or by --config.

    \b
    Examples:
      webrtc-events sinks list
      webrtc-events sinks show sink.example:8443
    """


@sinks.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=1000, help="The maximum number of hosts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs.")
@config_option
@handle_cli_errors
def list_(limit: int, as_json: bool) -> None:
    """List the hosts that are not well or that something waits for, the worst first.

    CIRCUIT is the worst that a worker says: `open` (it does not answer, and gets a probe now and
    then), `throttled` (it asks for less), `slow` (its answers take longer than a second), or `-`:
    no worker says that anything is wrong. OLDEST is how long ago the oldest event that was looked
    at was accepted. LIMIT is how many requests a worker has for it at the moment, the smallest.

    \b
    Examples:
      webrtc-events sinks list
      webrtc-events sinks list --json | jq -r 'select(.state == "open") | .host'
    """
    figures, _ = _read(limit)
    for problem in _limits_of_knowledge(figures):
        click.echo(problem, err=True)
    if as_json:
        for host in figures.hosts:
            click.echo(json.dumps(_summary(host)))
        return
    from webrtc_events.cli.tables import echo_lines, table

    echo_lines(table(_HEADS, map(_cells, figures.hosts)))
    if not figures.hosts:
        click.echo("No host is known to be unwell, and nothing waits for any.", err=True)


@sinks.command()
@click.argument("host")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@config_option
@handle_cli_errors
def show(host: str, as_json: bool) -> None:
    """Show a HOST of sinks: NAME, NAME:PORT or a sink's URL; without a port it is 443.

    Says which worker said what of it, and the limits that the settings in the environment of this
    command give. The limits of a worker are those of its own settings, divided among its processes.

    \b
    Examples:
      webrtc-events sinks show sink.example
      webrtc-events sinks show https://sink.example:8443/inbox --json
    """
    figures, settings = _read(None)
    document = _document(_named(host), figures, settings)
    if as_json:
        click.echo(json.dumps(document))
    else:
        for line in _lines(document):
            click.echo(line)


def _read(limit: int | None) -> "tuple[Figures, Settings]":
    from webrtc_events.core.errors import Unavailable
    from webrtc_events.services.figures import read_figures

    with opened_store() as (settings, store):
        figures = read_figures(store, settings.store_watermark, max_hosts=limit or 1_000_000)
    if figures.store is None:
        raise Unavailable
    return figures, settings


def _limits_of_knowledge(figures: "Figures") -> Iterator[str]:
    """What to know before a short list is taken for good news."""
    if figures.processes is None:
        yield "Which workers run cannot be read: the health of hosts is not known."
    elif not figures.running("worker"):
        yield "No worker runs: nothing is delivered, and the health of hosts is not known."
    if figures.more_hosts:
        yield f"Workers say that about {figures.more_hosts} more hosts are not well."
    waiting = figures.waiting
    if waiting is None:
        yield "What waits cannot be read."
    elif not waiting.exact:
        yield f"Of {waiting.subscriptions:,} outboxes with something in them, 1,000 were looked at."
    if waiting is not None and waiting.unreached:
        yield f"{waiting.unreached} partitions cannot be reached; what waits there is not counted."


def _summary(host: "SinkHost") -> dict[str, Any]:
    return {
        "host": host.host,
        "state": host.state,
        "seconds": host.seconds if host.state else None,
        "inFlight": host.in_flight if host.workers else None,
        "limit": host.limit,
        "workers": host.workers,
        "waitingEvents": host.waiting.events,
        "waitingSubscriptions": host.waiting.subscriptions,
        "oldestWaitingMs": host.waiting.oldest_ms,
    }


def _cells(host: "SinkHost") -> Sequence[object]:
    from webrtc_events.console.overview.wording import plural, span

    waiting = host.waiting
    state = f"{host.state} {span(host.seconds)}" if host.state else None
    return (
        host.host,
        state,
        f"{waiting.events:,}",
        None if waiting.oldest_ms is None else span(waiting.oldest_ms / 1000),
        f"{waiting.subscriptions:,}",
        host.in_flight if host.workers else None,
        host.limit,
        plural(host.workers, "worker") if host.workers else "the store",
    )


def _named(host: str) -> str:
    from webrtc_events.core.sink_hosts import host_of

    text = host if "://" in host else f"https://{host}"
    try:
        return host_of(text)
    except ValueError:
        raise click.BadParameter(
            f"{host!r} is no host: give NAME, NAME:PORT or a URL", param_hint="HOST"
        ) from None


def _document(name: str, figures: "Figures", settings: "Settings") -> dict[str, Any]:
    found = next((host for host in figures.hosts if host.host == name), None)
    known = None if found is None else _summary(found)
    return {
        "host": name,
        "waitingEvents": known["waitingEvents"] if known else 0,
        "waitingSubscriptions": known["waitingSubscriptions"] if known else 0,
        "oldestWaitingMs": known["oldestWaitingMs"] if known else None,
        "settings": {
            "inFlight": settings.sink_in_flight,
            "connections": settings.sink_connections,
            "failureSeconds": settings.sink_failure_s,
        },
        "workers": [said for process in figures.processes or () for said in _said(process, name)],
        "notes": list(_limits_of_knowledge(figures)),
    }


def _said(process: "Process", name: str) -> Iterator[dict[str, Any]]:
    report = process.report
    if report.worker is None:
        return
    of_host = next((host for host in report.worker.hosts if host.host == name), None)
    yield {
        "machine": report.machine,
        "pid": report.pid,
        "ageMs": process.age_ms,
        "missing": process.missing,
        "state": of_host and of_host.state,
        "seconds": of_host and of_host.seconds,
        "inFlight": of_host and of_host.in_flight,
        "limit": of_host and of_host.limit,
    }


def _lines(document: dict[str, Any]) -> Iterator[str]:
    from webrtc_events.cli.tables import labelled, table
    from webrtc_events.console.overview.wording import plural, span

    oldest_ms = document["oldestWaitingMs"]
    limits = document["settings"]
    failure_s = limits["failureSeconds"]
    events = plural(document["waitingEvents"], "event")
    waiting = f"{events} of {plural(document['waitingSubscriptions'], 'subscription')}"
    yield from labelled(
        [
            ("host", document["host"]),
            (
                "waiting",
                waiting,
            ),
            ("oldest waiting", None if oldest_ms is None else span(oldest_ms / 1000)),
            (
                "limits of a worker",
                f"{limits['inFlight']} in flight, {limits['connections']} connections (settings)",
            ),
            (
                "ends subscriptions",
                f"after {span(failure_s)} of failures" if failure_s else "never for failures",
            ),
        ]
    )
    yield from ("", "What each worker says of it:")
    yield from table(
        ("WORKER", "SAID", "CIRCUIT", "IN FLIGHT", "LIMIT"),
        [_said_cells(said) for said in document["workers"]],
    )
    yield from document["notes"]
    name = document["host"].partition("://")[2]
    yield from (
        "",
        "Its subscriptions:",
        f"  webrtc-events subscriptions list --host {name.removesuffix(':443')}",
    )


def _said_cells(said: dict[str, Any]) -> Sequence[object]:
    from webrtc_events.console.overview.wording import span

    ago = f"{span(said['ageMs'] / 1000)} ago" + (", missing" if said["missing"] else "")
    state = f"{said['state']} {span(said['seconds'])}" if said["state"] else "nothing wrong"
    return f"{said['machine']} ({said['pid']})", ago, state, said["inFlight"], said["limit"]
