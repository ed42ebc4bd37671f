"""`webrtc-events gateway status` and `requeue`: the queue of an adapter, which may run meanwhile."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from webrtc_events.cli.error_handling import handle_cli_errors

if TYPE_CHECKING:
    from webrtc_events.gateways.journal_view import JournalView, LeftOut

__all__ = ["queue_option", "requeue", "status"]

Found = TypeVar("Found")


def queue_option(help_: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--queue`, with what it is to a command."""
    path = click.Path(dir_okay=False, path_type=Path)
    return click.option(
        "--queue", type=path, required=True, envvar="GATEWAY_QUEUE", show_envvar=True, help=help_
    )


@click.command()
@queue_option("The --queue of an adapter.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@handle_cli_errors
def status(queue: Path, as_json: bool) -> None:
    """Show what waits in a queue and why, and what was refused. The adapter may run.

    \b
    rejected    what the service will never take, or what waited for more than --queue-hours; it is
                not sent again
    set aside   what the service refused for a while, though it takes others, and what follows it in
                its session; `webrtc-events gateway requeue` sends it again

    \b
    Examples:
      webrtc-events gateway status --queue /var/lib/webrtc-events/janus.queue
      webrtc-events gateway status --queue /var/lib/webrtc-events/janus.queue --json | jq .oldestS
    """
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.gateways.journal_view import view

    found = _of_queue(queue, lambda: view(queue))
    now_ms = round(SystemClock().now() * 1000)
    oldest_s = None if found.oldest_ms is None else max(0, now_ms - found.oldest_ms) // 1000
    if as_json:
        import json

        shown = {
            "waiting": found.entries,
            "bytes": found.bytes,
            "oldestS": oldest_s,
            "rejected": found.rejected,
            "setAside": found.set_aside,
            "waitsBecause": found.why.reason if found.entries and found.why else None,
        }
        click.echo(json.dumps(shown))
    else:
        _print_status(found, oldest_s)


@click.command()
@queue_option("The --queue of an adapter.")
@handle_cli_errors
def requeue(queue: Path) -> None:
    """Send again what was set aside. The adapter may run, and does it within seconds.

    First mend what the service, or a proxy before it, refuses: `gateway status` shows why. Each request takes
    its former place, so that the order of its registration or session is kept. What the service refuses
    again is set aside again.

    \b
    Example:
      webrtc-events gateway requeue --queue /var/lib/webrtc-events/janus.queue
    """
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.gateways.set_aside import bring_back

    count = _of_queue(queue, lambda: bring_back(queue, SystemClock()))
    click.echo(f"{count} requests are in the queue again." if count else "Nothing was set aside.")


def _of_queue(queue: Path, read: Callable[[], Found]) -> Found:
    import sqlite3

    if not queue.exists():
        raise click.ClickException(f"{queue}: there is no such file; is it the --queue of the adapter?")
    try:
        return read()
    except (sqlite3.Error, ValueError) as error:
        raise click.ClickException(f"{queue}: {error}; is it a queue of an adapter?") from error


def _print_status(found: "JournalView", oldest_s: int | None) -> None:
    from webrtc_events.core.clock import format_time

    click.echo(f"{'waiting':<10}{found.entries} requests, {found.bytes} bytes")
    if found.oldest_ms is not None:
        click.echo(f"{'oldest':<10}{format_time(found.oldest_ms)}, {oldest_s} s ago")
    if found.entries and found.why is not None:
        click.echo(f"{'because':<10}{found.why.reason}; since {format_time(found.why.since_ms)}")
        if found.why.todo:
            click.echo(f"{'to do':<10}{found.why.todo}. Nothing is lost meanwhile, within --queue-hours.")
    _print_left_out("rejected", found.rejected, found.last_rejected)
    if found.rejected:
        click.echo("What was rejected is not sent again. The service's contract says what it takes.")
    if found.set_aside:
        _print_left_out("set aside", found.set_aside, found.last_set_aside)
        click.echo("What was set aside is sent again by `webrtc-events gateway requeue --queue FILE`.")


def _print_left_out(word: str, count: int, last: "tuple[LeftOut, ...]") -> None:
    from webrtc_events.core.clock import format_time

    click.echo(f"{word:<10}{count}")
    for one in last:
        click.echo(f"  {format_time(one.at_ms)}  {one.what}: {one.reason}")
