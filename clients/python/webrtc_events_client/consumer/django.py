"""The view of a Django application."""

from django.http import HttpRequest, HttpResponse

from webrtc_events_client.consumer.receiver import Receiver
from webrtc_events_client.consumer.wsgi_request import read_limited, sent_target

__all__ = ["respond"]


def respond(receiver: Receiver, request: HttpRequest) -> HttpResponse:
    """The answer to a request; for a view that is exempt from CSRF checks, which are for browsers."""
    body = read_limited(request, receiver.max_body)
    answer = receiver.receive(request.method, sent_target(request.META), request.headers.items(), body)
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
