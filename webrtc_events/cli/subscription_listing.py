"""A list of subscriptions for a terminal or a program, page by page, which says where to go on."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import click

from webrtc_events.cli.status_line import StatusLine
from webrtc_events.cli.tables import table
from webrtc_events.core.clock import SystemClock, format_time
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.event_names import version_name, wire_type, wire_types
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.personal_view import PersonalView
from webrtc_events.core.settings import Settings
from webrtc_events.services.subscription_filters import ListFilters
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_rows import SubscriptionFilter, SubscriptionRow
from webrtc_events.store.subscription_search import Cursor, SubscriptionPage, SubscriptionSearch

__all__ = ["Listing"]

_HEADS: Final = ("SUBSCRIPTION", "STATUS", "TYPE", "CLIENT", "SINK HOST", "SINCE", "VERSION")
# A page of a console is smaller; a step of the store is the same.
_AT_ONCE: Final = 500
_FAILED: Final = 1
_INTERRUPTED: Final = 130
_SHORT_MINUTES: Final = 16


@dataclass
class Listing:
    """`reached`: where the next page begins; `is_last`: there is none. `status`: the exit status so far."""

    search: SubscriptionSearch
    wanted: SubscriptionFilter
    personal: PersonalView
    options: Mapping[str, str]
    reached: Cursor
    line: StatusLine
    is_last: bool = False
    listed: int = 0
    status: int = 0

    @classmethod
    def begin(
        cls, store: Store, settings: Settings, filters: ListFilters, after: str, *, reveal: bool
    ) -> "Listing":
        masking = Masking.of(settings)
        try:
            cursor = Cursor.parse(after) if after else Cursor()
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--after") from None
        personal = PersonalView(masking, revealed=reveal)
        options = filters.given() | ({"reveal": ""} if reveal else {})
        search = SubscriptionSearch(store, SystemClock())
        return cls(search, filters.wanted(masking), personal, options, cursor, StatusLine(SystemClock()))

    def run(self, limit: int | None, *, as_json: bool) -> int:
        """Prints them; returns the exit status."""
        begin, printed = self.reached, False
        rows = self._rows(limit)
        lines = map(self._json_line, rows) if as_json else table(_HEADS, map(_cells, rows))
        try:
            for line in lines:
                self.line.clear()
                click.echo(line)
                printed = True
        except KeyboardInterrupt:
            self.status = _INTERRUPTED
            # What was found and not printed yet is found again.
            self.reached = self.reached if printed else begin
        self.line.clear()
        if self.is_last and not printed and not as_json:
            click.echo("There is no subscription, or none that these options choose.", err=True)
        if not self.is_last:
            click.echo(
                f"{self.listed:,} listed, and there may be more. Go on with:\n  {self._next()}", err=True
            )
        return self.status

    def _rows(self, limit: int | None) -> Iterator[SubscriptionRow]:
        while not self.is_last and (limit is None or self.listed < limit):
            page = self._page(_AT_ONCE if limit is None else min(_AT_ONCE, limit - self.listed))
            if page is None:
                return
            yield from page.rows
            self.listed += len(page.rows)
            self.reached, self.is_last = page.reached, page.is_last
            if page.keys:
                looked_at = min(self.reached.keys, page.keys)
                self.line.bar(looked_at, page.keys, f"of {page.keys:,} keys looked at, {self.listed:,} found")

    def _page(self, size: int) -> SubscriptionPage | None:
        """None: nothing more comes, and `status` says so."""
        try:
            return self.search.page(self.wanted, self.reached, size)
        except ValueError as error:
            raise click.BadParameter(f"{error}, with these filters", param_hint="--after") from None
        except Unavailable as error:
            self.line.clear()
            click.echo(f"Error: the store went away: {error.__cause__ or error}", err=True)
            self.status = _FAILED
        except KeyboardInterrupt:
            self.status = _INTERRUPTED
        return None

    def _next(self) -> str:
        parts = ["webrtc-events subscriptions list"]
        for name, value in self.options.items():
            parts.append(f"--{name} {shlex.quote(value)}" if value else f"--{name}")
        return " ".join([*parts, f"--after {shlex.quote(str(self.reached))}"])

    def _json_line(self, row: SubscriptionRow) -> str:
        return json.dumps(self._summary(row))

    def _summary(self, row: SubscriptionRow) -> dict[str, Any]:
        return {
            "subscription": row.id,
            "status": row.status,
            "type": row.type and wire_type(row.contract, row.type),
            "types": wire_types(row.contract, row.types),
            "version": version_name(row.contract),
            "client": row.client or None,
            "registration": self.personal.person(row.registration) or None,
            "device": self.personal.person(row.device) or None,
            "host": row.host or None,
            "startsAt": _time(row.starts_at_ms),
            "expiresAt": _time(row.expires_at_ms),
            "fault": row.fault or None,
        }


def _cells(row: SubscriptionRow) -> tuple[object, ...]:
    since = (
        None if row.starts_at_ms is None else format_time(row.starts_at_ms)[:_SHORT_MINUTES].replace("T", " ")
    )
    types = ",".join(event_type.rpartition(".")[2] for event_type in row.types)
    cells = (row.id, row.status, types, row.client, row.host, since, version_name(row.contract))
    return (row.id, "damaged", *cells[2:5], row.fault, cells[6]) if row.fault else cells


def _time(ms: int | None) -> str | None:
    return None if ms is None else format_time(ms)
