"""What an operator finds in the log of the API: why somebody was refused, and what is out of order."""

import io
import json
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from tests.api.conftest import NETWORK, PUBLIC, Api, assert_error, serving, subscription_request
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.valkeys import eventually, running_store
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_config import LineFormatter, RequestFields
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.settings import Settings
from webrtc_events.core.store_url import parse_store_url
from webrtc_events.services.subscriptions import Subscriptions

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"


class Log:
    """What the shipped configuration would have written, a line each."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(LineFormatter())
        self.handler.addFilter(RequestFields())

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def of(self, correlator: str) -> str:
        """The one line of a request, from its level on."""
        (found,) = [line for line in self.text.splitlines() if f" correlator={correlator}" in line]
        return found.partition("Z ")[2]


@pytest.fixture
def log() -> Iterator[Log]:
    own = logging.getLogger("webrtc_events")
    log, level = Log(), own.level
    own.addHandler(log.handler)
    own.setLevel(logging.INFO)
    yield log
    own.removeHandler(log.handler)
    own.setLevel(level)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "other"}, "(audience): it has aud 'other', not 'webrtc-events'"),
        ({"iss": "https://elsewhere"}, "(issuer): it has iss 'https://elsewhere', not "),
        ({"exp": 0}, "(expired): it expired "),
        ({"client_id": None, "sub": None}, "(client): it names no client"),
    ],
)
def test_refused_token_is_logged_with_the_reason(
    api: Api, log: Log, claims: dict[str, str], reason: str
) -> None:
    token = api.token(**claims)
    refused = api("GET", SUBSCRIPTIONS, token=token, headers={"x-correlator": "c-1"})
    assert_error(refused, 401, "UNAUTHENTICATED")
    line = log.of("c-1")
    assert line.startswith(f"INFO webrtc_events.api.failures: access token refused {reason}")
    assert line.endswith("correlator=c-1 client=app") == ("client_id" not in claims)
    assert not any(part in log.text for part in token.split("."))


def test_token_of_another_key_is_logged(api: Api, log: Log) -> None:
    stranger = SigningKeyPair.rsa("rsa")
    token = api.issuer.token(SystemClock().now(), key=stranger)
    api("GET", SUBSCRIPTIONS, token=token, headers={"x-correlator": "c-2"})
    expected = "access token refused (signature): it is not signed by the issuer's key 'rsa' correlator=c-2"
    assert log.of("c-2").endswith(expected)


def test_missing_scope_is_logged_with_the_client(api: Api, log: Log) -> None:
    token = api.token(scope="webrtc-events:read", client_id="soft phone")
    api("DELETE", f"{SUBSCRIPTIONS}/x", token=token, headers={"x-correlator": "c-3"})
    assert log.of("c-3") == (
        f"INFO webrtc_events.api.failures: DELETE {SUBSCRIPTIONS}/x refused: "
        'The access token lacks the scope webrtc-events:delete. correlator=c-3 client="soft phone"'
    )


def test_who_sends_no_token_is_no_news(api: Api, log: Log) -> None:
    assert_error(api("GET", SUBSCRIPTIONS, token=None), 401, "UNAUTHENTICATED")
    # The watch of the store may have its say, as tests empty the store.
    assert "webrtc_events.api" not in log.text


@pytest.mark.slow
def test_flood_of_bad_tokens_neither_fills_the_log_nor_hides_others(
    api_with: Callable[..., Api], log: Log
) -> None:
    api = api_with()

    def garbage(number: int) -> int:
        return api("GET", SUBSCRIPTIONS, token=f"garbage{number}").status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(garbage, range(400))) == {401}
    assert log.text.count("access token refused (form)") < 60
    api("GET", SUBSCRIPTIONS, token=api.token(aud="other"), headers={"x-correlator": "c-4"})
    assert "(audience)" in log.of("c-4")


def test_path_forges_no_line(api: Api, log: Log) -> None:
    path = f"{SUBSCRIPTIONS}/%0D%1B[2J2026-03-10T09:00:00.000Z ERROR forged"
    token = api.token(scope="webrtc-events:read")
    api("DELETE", path, token=token, headers={"x-correlator": "c-5"})
    assert "/\\x0d\\x1b[2J2026" in log.of("c-5")


def test_bug_is_logged_with_its_traceback(api: Api, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(Subscriptions, "list", fail)
    assert_error(api("GET", SUBSCRIPTIONS, headers={"x-correlator": "c-6"}), 500, "INTERNAL")
    line = f"ERROR webrtc_events.api.failures: GET {SUBSCRIPTIONS} failed by a bug: ZeroDivisionError"
    assert log.of("c-6") == f"{line} correlator=c-6 client=app"
    assert "\nZeroDivisionError: of nothing\n" in log.text


def test_store_outage_and_its_end_are_logged(
    http_settings: Settings, issuer: Issuer, log: Log, tmp_path: Path
) -> None:
    with running_store(tmp_path) as url:
        app = create_app(replace(http_settings, redis_url=parse_store_url(url)))
    with serving(app, issuer) as api:
        for _ in range(40):
            down = api("GET", SUBSCRIPTIONS, headers={"x-correlator": "c-7"})
            assert_error(down, 503, "UNAVAILABLE")
        answered = f"WARNING webrtc_events.api.failures: GET {SUBSCRIPTIONS} answered 503: "
        assert 25 < log.text.count(answered) < 40
        assert log.text.count("WARNING webrtc_events.store.redis.topology: the store does not answer: ") == 1
        assert "answers again" not in log.text
        with running_store(tmp_path):
            eventually(lambda: api("GET", SUBSCRIPTIONS).ok, "the store is back")
            assert log.text.count("INFO webrtc_events.store.redis.topology: the store answers again") == 1


def test_without_the_issuer_requests_are_503_and_readiness_shows_it(
    http_settings: Settings, log: Log
) -> None:
    own = Issuer(SigningKeyPair.rsa("own"))
    own.status = 500
    settings = replace(http_settings, openid_configuration_url=own.discovery_url)
    with serving(create_app(settings), own) as api:
        assert_error(api("GET", SUBSCRIPTIONS), 503, "UNAVAILABLE")
        ready = api("GET", "/readyz", token=None)
        assert ready.status_code == 503
        assert ready.json()["status"] == "unavailable"
        assert ready.json()["checks"]["issuer"]["status"] == "unavailable"
        assert "out of reach" in log.text
        own.status = 200
        eventually(lambda: api("GET", SUBSCRIPTIONS).ok, "the issuer is back")
        assert api("GET", "/readyz", token=None).json()["checks"]["issuer"] == {"status": "ok"}
        assert "the token issuer answers again" in log.text
    own.close()


def test_publishing_without_a_listener_is_no_news(api: Api, log: Log) -> None:
    api("DELETE", f"{NETWORK}/registrations/none")
    assert log.text == ""


@pytest.mark.parametrize(
    ("claims", "person"),
    [
        ({"client_id": "tel:+12025550100"}, "12025550100"),
        ({"client_id": "alice@example.com"}, "alice@example.com"),
        # A token that names a user alone: the user is taken for the client.
        ({"client_id": None, "sub": "alice.miller"}, "alice.miller"),
    ],
)
def test_client_that_stands_for_a_person_is_a_pseudonym(
    api: Api, log: Log, claims: dict[str, str], person: str
) -> None:
    token = api.token(scope="webrtc-events:read", **claims)
    api("DELETE", f"{SUBSCRIPTIONS}/x", token=token, headers={"x-correlator": "c-8"})
    pseudonym = Masking(b"\0" * 32, show=False).pseudonym(claims["client_id"] or claims["sub"])
    assert log.of("c-8").endswith(f"correlator=c-8 client={pseudonym}")
    assert person not in log.text


def test_token_whose_payload_is_not_taken_is_no_matter_of_signatures(api: Api, log: Log) -> None:
    signer = jwt.PyJWS()
    token = signer.encode(
        b'{"exp": 1' + b"0" * 400 + b"}", api.issuer.keys[0].private, "RS256", {"kid": "rsa"}
    )
    api("GET", SUBSCRIPTIONS, token=token, headers={"x-correlator": "c-9"})
    assert "(form): it has a payload that is not taken" in log.of("c-9")


def test_next_request_of_a_connection_is_not_taken_for_the_one_before(api: Api, log: Log) -> None:
    """What the server itself says of a connection names no request that is over."""
    logging.getLogger("uvicorn.error").addHandler(log.handler)
    try:
        body = json.dumps(subscription_request(x="y" * 200_000)).encode()
        head = (
            f"POST {SUBSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {api.token()}\r\nx-correlator: stale\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
            connection.sendall(head.encode() + body)
            answered = b""
            while not answered.endswith(b'"ACTIVE"}\n'):
                answered += connection.recv(65536)
            assert answered.startswith(b"HTTP/1.1 201")
            connection.sendall(b"garbage\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 400")
        (line,) = [line for line in log.text.splitlines() if "Invalid HTTP request" in line]
        assert "correlator" not in line
    finally:
        logging.getLogger("uvicorn.error").removeHandler(log.handler)
