"""A request is taken if the service signed just this request, a moment ago, with a key that it publishes."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from webrtc_events_client.consumer import KeySet, Receiver, ReceiverSettings
from webrtc_events_client.consumer.signatures import Signatures

Make = Callable[..., Any]


@pytest.mark.parametrize("name", ["EdDSA", "ES256", "ES384", "PS512"])
def test_every_kind_of_key_that_the_service_may_have(
    name: str, service: Any, make_consumer: Make, make_body: Make
) -> None:
    key = type(service.key)(name)
    service.published = [key]
    consumer = make_consumer()
    assert consumer(service.notify(make_body(), key=key)).status == 204
    assert consumer.ids == ["s-1.1"]


def test_whatever_was_changed_is_noticed(service: Any, make_consumer: Make, make_body: Make) -> None:
    consumer = make_consumer()
    signed = service.notify(make_body())
    body = signed.body.replace(b"Ringing", b"Connect")
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    parameters = signed.headers["signature-input"]
    changed = [
        signed.but(body=body),
        signed.but(body=b""),
        signed.but(body=body).with_headers(content_digest=digest),
        signed.with_headers(content_digest=None),
        signed.with_headers(x_correlator="c-2"),
        signed.with_headers(x_correlator=None),
        signed.with_headers(content_type="application/cloudevents+json; charset=utf-8"),
        signed.with_headers(signature=None),
        signed.with_headers(signature_input=None),
        signed.with_headers(signature="sig1=:AAAA:"),
        signed.with_headers(signature="not a dictionary"),
        signed.with_headers(signature_input="not a dictionary="),
        signed.with_headers(signature_input="sig1=7"),
        signed.with_headers(signature_input=parameters.replace(' "x-correlator"', "")),
        signed.with_headers(signature_input=parameters.replace("expires=1", "expires=2")),
        signed.with_headers(signature_input=parameters.replace("sig1=", "sig2=")),
        signed.with_headers(signature_input=parameters.replace('"ed25519"', '"hmac-sha256"')),
        signed.with_headers(signature_input=parameters + ", x=" + "a" * 9000),
        signed.with_headers(signature_input="sig1=\ud800"),
        signed.but(url=signed.url + "e"),
        signed.but(url=signed.url.replace("%20", " ")),
        signed.but(url=signed.url.replace("%2F", "/")),
        signed.but(url="https://[broken"),
    ]
    for request in changed:
        answer = consumer(request)
        assert (answer.status, answer.headers) == (403, (("Content-Type", "text/plain; charset=utf-8"),))
    assert consumer.deliveries == []
    assert consumer(signed).status == 204


def test_the_scheme_and_host_that_a_proxy_makes_of_it_do_not_matter(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    consumer = make_consumer()
    for number, url in enumerate(["http://10.0.0.7:8000/in?a", "/in?a", "http://other.example/in?a#f"]):
        signed = service.notify(make_body(f"e-{number}"), "https://my-app.example/in?a")
        assert consumer(signed.but(url=url)).status == 204


def test_a_signature_for_another_sink_does_not_hold(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    consumer = make_consumer(origin="https://another.example")
    assert consumer(service.notify(make_body())).status == 403


@pytest.mark.parametrize(
    "missing", ["@method", "@target-uri", "content-digest", "content-type", "x-correlator"]
)
def test_a_signature_over_less_does_not_hold(
    missing: str, service: Any, make_consumer: Make, make_body: Make
) -> None:
    covered = ("@method", "@target-uri", "content-digest", "content-type", "x-correlator")
    less = tuple(name for name in covered if name != missing)
    assert make_consumer()(service.notify(make_body(), covered=less)).status == 403


@pytest.mark.parametrize(
    "part", ['"content-digest";key="sha-256"', '"content-digest";sf', '"x-correlator";bs']
)
def test_a_signature_over_a_part_of_a_header_does_not_hold(
    part: str, service: Any, make_consumer: Make, make_body: Make
) -> None:
    name = part.partition(";")[0].strip('"')
    covered = ("@method", "@target-uri", "content-digest", "content-type", "x-correlator")
    parts = tuple(part if component == name else component for component in covered)
    assert make_consumer()(service.notify(make_body(), covered=parts)).status == 403


def test_more_may_be_covered(service: Any, make_consumer: Make, make_body: Make) -> None:
    covered = ("@method", "@target-uri", "content-digest", "content-type", "x-correlator", "@authority")
    assert make_consumer()(service.notify(make_body(), covered=covered)).status == 204


def test_the_times_of_a_signature(service: Any, make_consumer: Make, make_body: Make, clock: Any) -> None:
    consumer = make_consumer(clock_skew_s=30)
    now = clock.seconds
    taken = [0, -300, -329, 29]
    refused = [-332, 32, -86_400]
    for number, shift in enumerate([*taken, *refused]):
        signed = service.notify(make_body(f"e-{number}"), created=now + shift)
        assert consumer(signed).status == (204 if shift in taken else 403), shift
    for valid_s in (None, 301, 10_000_000):
        assert consumer(service.notify(make_body("e-x"), valid_s=valid_s)).status == 403
    assert len(consumer.ids) == len(taken)


def test_a_signature_without_a_readable_time_does_not_hold(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    signed = service.notify(make_body())
    parameters = signed.headers["signature-input"]
    created = parameters.split("created=")[1].split(";")[0]
    for text in ("", ";created", ";created=1.5", f';created="{created}"', ";created=999999999999999"):
        changed = parameters.replace(f";created={created}", text)
        assert make_consumer()(signed.with_headers(signature_input=changed)).status == 403


def test_a_signature_of_another_purpose_beside_ours_does_no_harm(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    """As a gateway in between may add one: in the same field or in a second line."""
    key = type(service.key).fresh()
    ours = service.notify(make_body())
    theirs = service.notify(make_body(), tag="gateway", label="gw", key=key)
    lines = [
        *ours.headers.items(),
        ("Signature-Input", theirs.headers["signature-input"]),
        ("SIGNATURE", theirs.headers["signature"]),
    ]
    assert make_consumer()(ours.but(headers=dict(ours.headers))).status == 204
    consumer = make_consumer()
    assert consumer.receive(ours.method, ours.url, lines, ours.body).status == 204


@pytest.mark.parametrize("label", ["sig1", "sig2"])
def test_two_signatures_that_claim_to_be_ours_do_not_hold(
    label: str, service: Any, make_consumer: Make, make_body: Make
) -> None:
    first, second = (service.notify(make_body()), service.notify(make_body("s-1.2"), label=label))
    lines = [
        *first.headers.items(),
        ("signature-input", second.headers["signature-input"]),
        ("signature", second.headers["signature"]),
    ]
    assert make_consumer().receive(first.method, first.url, lines, first.body).status == 403


def test_names_of_headers_are_read_in_any_case_and_no_other_spelling(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    signed = service.notify(make_body())
    upper = {name.upper(): f" {value}\t" for name, value in signed.headers.items()}
    assert make_consumer()(signed.but(headers=upper)).status == 204
    smuggled = {**signed.headers, "content_digest": "sha-256=:AAAA:", "signature ": "sig1=:AAAA:"}
    assert make_consumer()(signed.but(headers=smuggled)).status == 204
    under = {name.replace("-", "_"): value for name, value in signed.headers.items()}
    assert make_consumer()(signed.but(headers=under)).status == 415


def test_a_second_line_of_a_covered_header_is_noticed(
    service: Any, make_consumer: Make, make_body: Make
) -> None:
    signed = service.notify(make_body())
    for name, status in (("content-type", 415), ("x-correlator", 403), ("content-digest", 403)):
        lines = [*signed.headers.items(), (name, signed.headers[name])]
        assert make_consumer().receive(signed.method, signed.url, lines, signed.body).status == status


@pytest.mark.parametrize("origin", ["my-app.example", "https://my-app.example/inbox", "ftp://a", "https://"])
def test_an_origin_that_is_none_is_an_error_at_the_start(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        Signatures(origin)


def test_settings_that_contradict_each_other_are_an_error_at_the_start(key_server: Any) -> None:
    def handle(_: Any) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match="origin"):
        Receiver(handle, ReceiverSettings(), keys=KeySet(key_server.url))
    with pytest.raises(ValueError, match="allow_unverified"):
        Receiver(handle, ReceiverSettings())
    with pytest.raises(ValueError, match="collection"):
        Receiver(handle, ReceiverSettings(agree_to="events.example", allow_unverified=True))
    with pytest.raises(ValueError, match="allowed_rate"):
        Receiver(handle, ReceiverSettings(allowed_rate=0, allow_unverified=True))
    Receiver(handle, ReceiverSettings(allow_unverified=True))
