"""The view of a Flask application."""

import flask

from webrtc_events_client.consumer.receiver import Receiver
from webrtc_events_client.consumer.wsgi_request import read_limited, sent_target

__all__ = ["respond"]


def respond(receiver: Receiver) -> flask.Response:
    """The answer to Flask's current request; for a route with the methods POST and OPTIONS."""
    request = flask.request
    body = read_limited(request.stream, receiver.max_body)
    answer = receiver.receive(request.method, sent_target(request.environ), request.headers.items(), body)
    return flask.Response(answer.body, answer.status, list(answer.headers))
