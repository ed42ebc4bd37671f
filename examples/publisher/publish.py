"""Publishes a call as a gateway does: registration, invitation, progress, end."""

import argparse
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from webrtc_events_client.client import ClientCredentials, NetworkClient, Options, RetryPolicy
from webrtc_events_client.network_events import NetworkEvent, Registration, stable_id
from webrtc_events_client.subscriptions import SubscriptionType

SOURCE = "https://gateway1.example.com"
# A gateway waits longer than an application would: what it does not publish is lost.
PATIENT = Options(policy=RetryPolicy(max_attempts=100, max_elapsed_s=300))
PROGRESS = ("Ringing", "Connected", "Terminated")


def events(call_id: str, registration_id: str, now: datetime) -> Iterator[NetworkEvent]:
    """Those of a call. Their ids are made of the call's: the same call published again changes nothing."""
    for number, status in enumerate(("Initial", *PROGRESS), start=1):
        yield NetworkEvent(
            id=stable_id(call_id, number),
            source=SOURCE,
            type=SubscriptionType.SESSION_INVITATION if number == 1 else SubscriptionType.SESSION_STATUS,
            time=now + timedelta(seconds=number),
            subject=registration_id,
            data={
                "mediaSessionId": call_id,
                "originatorAddress": "tel:+12025550143",
                "originatorName": "Alice Meyer",
                "receiverAddress": "sip:bob@ims.example.com",
                "status": status,
                "sequenceNumber": number,
            },
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--service", default="http://127.0.0.1:9091", help="where the API is")
    options.add_argument("--issuer", default="http://127.0.0.1:9091/issuer", help="who gives access tokens")
    options.add_argument("--client", default="gateway1", help="the client id of this gateway")
    options.add_argument("--secret", default="", help="its secret; the issuer of `serve` wants none")
    options.add_argument("--registration", default="example-publisher", help="whom the call is for")
    options.add_argument("--owner", default="local", help="the application that the registration belongs to")
    options.add_argument(
        "--call", default=str(uuid.uuid4()), help="the call's id; the same again changes nothing"
    )
    given = options.parse_args()
    now = datetime.now(UTC)
    tokens = ClientCredentials(
        given.client,
        given.secret,
        discovery_url=f"{given.issuer}/.well-known/openid-configuration",
        scopes=("webrtc-events:network",),
    )
    with NetworkClient(given.service, tokens, options=PATIENT) as gateway:
        gateway.put_registration(
            given.registration,
            Registration(device_id=str(uuid.uuid4()), owner=given.owner, expires_at=now + timedelta(hours=1)),
        )
        # One by one, as they happen: each waits for the answer to the one before.
        for event in events(given.call, given.registration, now):
            result = gateway.publish(event)
            print(event.data["status"], result.status, f"subscriptions={result.subscriptions}", flush=True)


if __name__ == "__main__":
    main()
