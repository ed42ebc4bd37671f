"""Receives notifications in FastAPI: verified, each once, printed."""

import os

from fastapi import FastAPI, Request, Response

from webrtc_events_client.consumer import AsyncKeySet, AsyncReceiver, Delivery, ReceiverSettings
from webrtc_events_client.consumer.starlette import respond
from webrtc_events_client.types import SessionInvitation, SessionStatus

ORIGIN = os.environ.get("ORIGIN", "https://localhost:8444")
KEYS = os.environ.get("KEYS", "http://127.0.0.1:9091/.well-known/jwks.json")
# `localhost` is the name of `serve`, where it asks whether it may send.
SETTINGS = ReceiverSettings(origin=ORIGIN, agree_to=["localhost"])


async def handle(delivery: Delivery) -> None:
    """Awaited once for each event. The answer to the service, 204, goes out after it has returned."""
    # A line with its end in one piece: several requests may print at once.
    match delivery.notification:
        case SessionInvitation(session=call):
            print(f"{call.sequence_number} {call.originator_address} calls\n", end="", flush=True)
        case SessionStatus(session=call):
            print(f"{call.sequence_number} {call.media_session_id} is {call.status}\n", end="", flush=True)
        case other:
            print(f"- {other.type}\n", end="", flush=True)


app = FastAPI()
receiver = AsyncReceiver(handle, SETTINGS, keys=AsyncKeySet(KEYS))


@app.api_route("/inbox", methods=["POST", "OPTIONS"])
async def inbox(request: Request) -> Response:
    return await respond(receiver, request)
