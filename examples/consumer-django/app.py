"""Receives notifications in Django: verified, each once, printed. In a project, the view is what counts."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from webrtc_events_client.consumer import Delivery, KeySet, Receiver, ReceiverSettings
from webrtc_events_client.consumer.django import respond
from webrtc_events_client.types import SessionInvitation, SessionStatus

ORIGIN = os.environ.get("ORIGIN", "https://localhost:8445")
KEYS = os.environ.get("KEYS", "http://127.0.0.1:9091/.well-known/jwks.json")
# `localhost` is the name of `serve`, where it asks whether it may send.
SETTINGS = ReceiverSettings(origin=ORIGIN, agree_to=["localhost"])


def handle(delivery: Delivery) -> None:
    """Called once for each event. The answer to the service, 204, goes out after it has returned."""
    # A line with its end in one piece: several requests may print at once.
    match delivery.notification:
        case SessionInvitation(session=call):
            print(f"{call.sequence_number} {call.originator_address} calls\n", end="", flush=True)
        case SessionStatus(session=call):
            print(f"{call.sequence_number} {call.media_session_id} is {call.status}\n", end="", flush=True)
        case other:
            print(f"- {other.type}\n", end="", flush=True)


receiver = Receiver(handle, SETTINGS, keys=KeySet(KEYS))


@csrf_exempt
def inbox(request: HttpRequest) -> HttpResponse:
    return respond(receiver, request)


urlpatterns = [path("inbox", inbox)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"])
app = get_wsgi_application()
