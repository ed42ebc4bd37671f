"""`webrtc-events sessions`: what is known of a media session, and its trace as a ladder."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.operator_access import opened_store, record_change
from webrtc_events.cli.options import config_option

if TYPE_CHECKING:
    from webrtc_events.core.log_masking import Masking
    from webrtc_events.services.session_view import SessionView

__all__ = ["sessions"]


@click.group()
def sessions() -> None:
    """Show what is known of a media session.

    Needs the worker's settings, in the environment or by --config.

    \b
    Example:
      webrtc-events sessions show a1b2c3
    """


@sessions.command()
@click.argument("session", metavar="ID")
@click.option("--reveal", is_flag=True, help="Show personal data in clear; the log says who did.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@config_option
@handle_cli_errors
def show(session: str, reveal: bool, as_json: bool) -> None:
    """Show a media session: its latest state, the subscriptions to it, and its trace as a ladder.

    A trace is kept while WEBRTC_EVENTS_CALL_TRACES is `metadata` or `full`. In the ladder, G1 is a
    gateway, E the service, S1 a sink; `-->` is a request, `x` one without an answer, `*` something
    that was not sent. Exits with 1 if nothing is known of the session.

    \b
    Examples:
      webrtc-events sessions show a1b2c3
      webrtc-events sessions show a1b2c3 --json | jq .trace.entries
    """
    from webrtc_events.core.log_masking import Masking
    from webrtc_events.services.session_view import read_session_view

    with opened_store() as (settings, store):
        view = read_session_view(store, session)
        if not view.is_known:
            raise click.ClickException(
                "nothing is known of this session: it is over for a while, or no event of it came "
                "(its id is the mediaSessionId)"
            )
        if reveal:
            record_change("reveal personal data", "revealed", session=session)
    masking = Masking.of(settings)
    if as_json:
        click.echo(json.dumps(_document(view, masking, reveal=reveal)))
    else:
        for line in _lines(view, masking, reveal=reveal):
            click.echo(line)


def _document(view: "SessionView", masking: "Masking", *, reveal: bool) -> dict[str, Any]:
    from webrtc_events.core.clock import format_time
    from webrtc_events.core.event_names import version_name, wire_types

    latest = view.state.latest
    call = view.call
    return {
        "session": view.session,
        "status": view.status,
        "statusAt": None if latest is None else format_time(latest.time_ms),
        "isOver": view.state.is_over,
        "registrations": sorted(
            registration if reveal else masking.pseudonym(registration)
            for registration in view.state.registrations
        ),
        "subscriptions": [
            {"subscription": row.id, "status": row.status, "client": row.client or None}
            | {"types": wire_types(row.contract, row.types), "version": version_name(row.contract)}
            | {"host": row.host or None, "fault": row.fault or None}
            for row in view.subscriptions
        ],
        "moreSubscriptions": view.more,
        "trace": None
        if call is None
        else {"level": call.level, "damaged": call.damaged, "entries": _shown(view, masking, reveal=reveal)},
    }


def _shown(view: "SessionView", masking: "Masking", *, reveal: bool) -> list[object]:
    from webrtc_events.console.calls.entry_masking import EntryMasking

    entries: list[object] = [] if view.call is None else list(view.call.entries)
    return entries if reveal else list(map(EntryMasking(masking).masked, entries))


def _lines(view: "SessionView", masking: "Masking", *, reveal: bool) -> Iterator[str]:
    from webrtc_events.cli.tables import labelled, table

    document = _document(view, masking, reveal=reveal)
    yield from labelled(
        [
            ("session", document["session"]),
            ("status", document["status"] or "not known"),
            ("since", document["statusAt"]),
            ("is over", "yes" if document["isOver"] else "no"),
            ("registrations", ", ".join(document["registrations"]) or "not known"),
        ]
    )
    yield from ("", "Subscriptions to its status, or to a device that it involves:")
    rows = [
        (
            row["subscription"],
            "damaged" if row["fault"] else row["status"],
            row["client"],
            row["fault"] or row["host"],
            row["version"],
        )
        for row in document["subscriptions"]
    ]
    yield from table(("SUBSCRIPTION", "STATUS", "CLIENT", "SINK HOST", "VERSION"), rows)
    if not rows:
        yield "none; subscriptions of 0.2 to session-invitation are by registration"
    if document["moreSubscriptions"]:
        yield "and more"
    yield ""
    yield from _trace(view, document)


def _trace(view: "SessionView", document: dict[str, Any]) -> Iterator[str]:
    from webrtc_events.cli.ladder_text import ladder_lines
    from webrtc_events.cli.tables import labelled, width
    from webrtc_events.console.calls.call_facts import call_facts, parties
    from webrtc_events.console.ladder.building import build_ladder
    from webrtc_events.console.ladder.entries import read_entries
    from webrtc_events.console.ladder.wording import count

    if view.call is None:
        yield "No trace of it is kept: WEBRTC_EVENTS_CALL_TRACES was off, or its time is over."
        return
    items = read_entries(view.call.entries)
    facts = [*parties(document["trace"]["entries"]), *call_facts(items)]
    yield from labelled([(fact.label.lower(), fact.value) for fact in facts])
    if view.call.damaged:
        yield f"{count(view.call.damaged, 'entry', 'entries')} of its trace cannot be read"
    yield ""
    yield from ladder_lines(build_ladder(items), width())
