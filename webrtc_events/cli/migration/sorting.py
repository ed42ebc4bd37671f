"""Brings together what becomes one subscription, in a temporary file: memory does not grow with the store."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

import msgspec

from webrtc_events.cli.migration.former import Former, NotCarried
from webrtc_events.core.errors import DamagedRecord

__all__ = ["PassedOver", "Sorted", "Totals"]

_TABLES: Final = """
CREATE TABLE former (id TEXT PRIMARY KEY, key BLOB, starts INTEGER, value BLOB) WITHOUT ROWID;
CREATE TABLE apart (id TEXT PRIMARY KEY, client TEXT, registration TEXT, why TEXT) WITHOUT ROWID;
CREATE TABLE damaged (id TEXT PRIMARY KEY, why TEXT) WITHOUT ROWID;
CREATE TABLE passed_over (id TEXT PRIMARY KEY, why TEXT) WITHOUT ROWID;
"""
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Former)


class PassedOver(StrEnum):
    """What a migration does not concern."""

    OVER = "over"
    OF_DEVICE = "of 0.3"


@dataclass(frozen=True, slots=True)
class Totals:
    """How many subscriptions: `carried` become `successors`; the last two are left as they are."""

    carried: int
    successors: int
    apart: int
    damaged: int
    over: int
    of_devices: int


class Sorted:
    """What was found, each once. The file has no name, and goes when this is closed or the process ends."""

    def __init__(self) -> None:
        # An empty name is a temporary file (sqlite.org/inmemorydb.html, Temporary Databases).
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES} BEGIN;")

    def close(self) -> None:
        self._file.close()

    def add(self, found: Former | NotCarried | DamagedRecord) -> None:
        """One that comes again changes nothing."""
        match found:
            case Former():
                row = (found.id, _ENCODER.encode(found.key), found.starts_at_ms, _ENCODER.encode(found))
                self._file.execute("INSERT OR IGNORE INTO former VALUES (?, ?, ?, ?)", row)
            case NotCarried():
                texts = (found.id, found.client, found.registration, found.why)
                self._file.execute("INSERT OR IGNORE INTO apart VALUES (?, ?, ?, ?)", texts)
            case DamagedRecord():
                self._file.execute("INSERT OR IGNORE INTO damaged VALUES (?, ?)", (found.name, found.why))

    def pass_over(self, subscription_id: str, why: PassedOver) -> None:
        self._file.execute("INSERT OR IGNORE INTO passed_over VALUES (?, ?)", (subscription_id, why.value))

    def totals(self) -> Totals:
        def count(what: str, *values: str) -> int:
            number: int
            (number,) = self._file.execute(f"SELECT COUNT({what}", values).fetchone()
            return number

        return Totals(
            carried=count("*) FROM former"),
            successors=count("DISTINCT key) FROM former"),
            apart=count("*) FROM apart"),
            damaged=count("*) FROM damaged"),
            over=count("*) FROM passed_over WHERE why = ?", PassedOver.OVER.value),
            of_devices=count("*) FROM passed_over WHERE why = ?", PassedOver.OF_DEVICE.value),
        )

    def groups(self) -> Iterator[list[Former]]:
        """Each becomes one subscription; by client, and the oldest first."""
        rows = self._file.execute("SELECT value FROM former ORDER BY key, starts, id")
        formers = (_DECODER.decode(value) for (value,) in rows)
        for _, group in groupby(formers, key=lambda former: former.key):
            yield list(group)

    def apart(self) -> Iterator[NotCarried]:
        rows = self._file.execute("SELECT id, client, registration, why FROM apart ORDER BY client, id")
        return (NotCarried(*row) for row in rows)

    def damaged(self) -> Iterator[DamagedRecord]:
        return (DamagedRecord(*row) for row in self._file.execute("SELECT id, why FROM damaged ORDER BY id"))
