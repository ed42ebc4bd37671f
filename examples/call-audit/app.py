"""Keeps who called whom, and how each call ended, in a SQLite file.

It subscribes to the invitations of a registration, and for each invitation to the status of its session. What
came is in the table `events`, which only grows; the view `calls` has a line for each call.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from flask import Flask, Response

from webrtc_events_client.client import Client
from webrtc_events_client.consumer import Delivery, KeySet, Receiver, ReceiverSettings, SqliteMemory
from webrtc_events_client.consumer.flask import respond
from webrtc_events_client.subscriptions import SubscriptionRequest, SubscriptionType
from webrtc_events_client.types import SessionInvitation, SessionStatus

SERVICE = os.environ.get("SERVICE", "http://127.0.0.1:9091")
ORIGIN = os.environ.get("ORIGIN", "https://localhost:8446")
REGISTRATION = os.environ.get("REGISTRATION", "audited")
FILE = Path(os.environ.get("FILE", "audit.db"))
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    source TEXT, id TEXT, session TEXT NOT NULL, number INTEGER, status TEXT, happened TEXT NOT NULL,
    caller TEXT, called TEXT, reason TEXT, PRIMARY KEY (source, id)
);
CREATE VIEW IF NOT EXISTS calls AS SELECT
    session, max(caller) AS caller, max(called) AS called, min(happened) AS began,
    max(happened) FILTER (WHERE status = 'Connected') AS answered,
    (SELECT status FROM events AS last WHERE last.session = events.session
     ORDER BY happened DESC, number DESC LIMIT 1) AS status
FROM events GROUP BY session ORDER BY began;
"""


def token() -> str:
    """In production: `ClientCredentials` of webrtc_events_client.client."""
    return os.environ["TOKEN"]


def subscribe(event_type: SubscriptionType, session: str | None = None, key: str | None = None) -> None:
    """Once for each `key`, however often it is called."""
    with Client(SERVICE, token) as client:
        request = SubscriptionRequest.to(
            event_type,
            sink=f"{ORIGIN}/inbox",
            registration_id=REGISTRATION,
            session_id=session,
            initial_event=session is not None,
        )
        client.create(request, idempotency_key=key)


def handle(delivery: Delivery) -> None:
    """Writes it down and returns; what is raised here is answered 500, so the event comes again."""
    notification = delivery.notification
    if not isinstance(notification, SessionInvitation | SessionStatus):
        return
    call = notification.session
    with closing(sqlite3.connect(FILE)) as database, database:
        # IGNORE: the process may have died after this, and before the event was remembered.
        database.execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                notification.source,
                notification.id,
                call.media_session_id,
                call.sequence_number,
                call.status,
                notification.time.isoformat(),
                call.originator_address,
                call.receiver_address,
                call.reason,
            ),
        )
    if isinstance(notification, SessionInvitation):
        session = call.media_session_id
        subscribe(SubscriptionType.SESSION_STATUS, session, f"call-audit {session}")


def report() -> None:
    with closing(sqlite3.connect(FILE)) as database:
        for _, caller, called, began, answered, status in database.execute("SELECT * FROM calls"):
            print(f"{began}  {caller} -> {called}  {'answered' if answered else 'not answered'}  {status}")


with closing(sqlite3.connect(FILE)) as opened:
    opened.executescript(SCHEMA)
app = Flask(__name__)
# Stale events belong into an audit too: drop_stale is off. Several processes may share the file.
receiver = Receiver(
    handle,
    ReceiverSettings(origin=ORIGIN, agree_to=["localhost"]),
    keys=KeySet(f"{SERVICE}/.well-known/jwks.json"),
    memory=SqliteMemory(FILE),
)


@app.route("/inbox", methods=["POST", "OPTIONS"])
def inbox() -> Response:
    return respond(receiver)


if __name__ == "__main__":
    if sys.argv[1:] == ["subscribe"]:
        subscribe(SubscriptionType.SESSION_INVITATION, key=f"call-audit {REGISTRATION}")
    else:
        report()
