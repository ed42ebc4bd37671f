"""What a dry run prints: for people, or one JSON object a line for programs."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final

from webrtc_events.cli.migration.former import Former, NotCarried
from webrtc_events.cli.migration.sorting import Totals
from webrtc_events.cli.migration.successor import Successor
from webrtc_events.cli.tables import labelled, table
from webrtc_events.console.overview.wording import plural
from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.personal_view import PersonalView
from webrtc_events.core.plain_text import printable

__all__ = ["as_json", "as_text"]

# Of those in whose place a subscription comes, for people.
_SHOWN: Final = 5


def as_json(
    successors: Iterable[Successor],
    apart: Iterable[NotCarried],
    damaged: Iterable[DamagedRecord],
    totals: Totals,
    personal: PersonalView,
) -> Iterator[str]:
    """Lines; `kind` says what each is. The totals come last."""
    for successor in successors:
        yield json.dumps(_successor(successor, personal))
    for left in apart:
        yield json.dumps(
            {
                "kind": "notCarriedOver",
                "subscription": left.id,
                "client": left.client,
                "registration": personal.person(left.registration),
                "why": left.why,
            }
        )
    for record in damaged:
        yield json.dumps({"kind": "damaged", "subscription": record.name, "why": record.why})
    yield json.dumps(
        {
            "kind": "totals",
            "carriedOver": totals.carried,
            "subscriptions": totals.successors,
            "notCarriedOver": totals.apart,
            "damaged": totals.damaged,
            "over": totals.over,
            "ofDevices": totals.of_devices,
        }
    )


def _successor(successor: Successor, personal: PersonalView) -> dict[str, Any]:
    return {
        "kind": "subscription",
        "client": successor.client,
        "user": personal.person(successor.user) or None,
        "body": personal.document(successor.body),
        "supply": list(successor.supply),
        "scopes": list(successor.scopes),
        "inPlaceOf": [
            {
                "subscription": former.id,
                "type": former.type,
                "registration": personal.person(former.registration),
                "session": former.session,
            }
            for former in successor.formers
        ],
        "changes": [{"name": change.name, "text": change.text} for change in successor.changes],
    }


def as_text(
    successors: Iterable[Successor],
    apart: Iterable[NotCarried],
    damaged: Iterable[DamagedRecord],
    totals: Totals,
    personal: PersonalView,
) -> Iterator[str]:
    client = None
    for number, successor in enumerate(successors, 1):
        if successor.client != client:
            client = successor.client
            yield from (f"Client {printable(client, 200)}", "")
        yield f"  {number}. {', '.join(wire.rpartition('.')[2] for wire in successor.body['types'])}"
        yield from (f"     {line}" for line in labelled(_facts(successor, personal)))
        yield ""
    yield from _listed(
        "Cannot be carried over:",
        ("SUBSCRIPTION", "CLIENT", "REGISTRATION", "WHY"),
        ((left.id, left.client, personal.person(left.registration), left.why) for left in apart),
    )
    yield from _listed(
        "Cannot be read; `webrtc-events damaged` says more:",
        ("SUBSCRIPTION", "WHY"),
        ((record.name, record.why) for record in damaged),
    )
    if totals.carried or totals.apart or totals.damaged:
        yield (
            f"{plural(totals.carried, 'subscription')} of 0.2 would be {totals.successors:,} of 0.3; "
            f"{totals.apart:,} cannot be carried over, {totals.damaged:,} cannot be read."
        )
    else:
        yield "There is nothing to move: no subscription of 0.2 that has not ended."
    yield f"Left out: {totals.over:,} that have ended, {totals.of_devices:,} that are of 0.3 already."
    yield "Nothing was written."


def _facts(successor: Successor, personal: PersonalView) -> Iterator[tuple[str, object]]:
    config = successor.body["config"]
    yield "device", personal.person(successor.device)
    yield "user", personal.person(successor.user) or None
    yield "sink", personal.sink(successor.body["sink"])
    yield "expires", config.get("subscriptionExpireTime")
    yield "max events", config.get("subscriptionMaxEvents")
    formers = successor.formers
    for former in formers[:_SHOWN]:
        yield "in place of", _former(former, personal)
    if len(formers) > _SHOWN:
        yield "in place of", f"{len(formers) - _SHOWN:,} more; --json names them all"
    for secret in successor.supply:
        yield "give it", secret
    for change in successor.changes:
        yield "change", change.text


def _former(former: Former, personal: PersonalView) -> str:
    session = f", session {former.session}" if former.session else ""
    return f"{former.id}  {former.kind} of registration {personal.person(former.registration)}{session}"


def _listed(heading: str, heads: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> Iterator[str]:
    """Nothing without rows."""
    lines = table(heads, rows)
    for first in islice(lines, 1):
        yield from chain((heading, f"  {first}"), (f"  {line}" for line in lines), ("",))
