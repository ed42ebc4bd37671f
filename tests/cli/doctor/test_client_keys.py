"""What the doctor says of the keys that token servers need."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cli.doctor.found import texts
from tests.harness.sinks import RecordingSink
from webrtc_events.cli.doctor.client_key_checks import compare_keys
from webrtc_events.cli.doctor.findings import Level

URI = "https://webrtc.example/.well-known/client-keys.json"


@pytest.mark.parametrize(
    ("published", "level", "text"),
    [
        ({"first", "second", "other"}, Level.OK, "has 2 keys of TOKEN_KEYS"),
        ({"first"}, Level.WARNING, "lacks 1 key of TOKEN_KEYS: second"),
        ({"second"}, Level.ERROR, "lacks the key that signs, first"),
        (set(), Level.ERROR, "lacks the key that signs, first"),
    ],
)
def test_the_keys_that_are_set_must_be_there(published: set[str], level: Level, text: str) -> None:
    found = compare_keys(["first", "second"], published, URI)
    assert (found.level, found.text) == (level, f"{URI} {text}")


def test_a_key_set_that_cannot_be_had_is_said_and_holds_up_nothing(
    healthy: dict[str, str], doctor: Any, tmp_path: Path
) -> None:
    """Its certificate is of a CA that nobody knows, as it would be for token servers."""
    file = tmp_path / "token.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with RecordingSink() as server:
        given = {
            "WEBRTC_EVENTS_TOKEN_KEYS": str(file),
            "WEBRTC_EVENTS_TOKEN_JWKS_URI": server.url_of("/.well-known/client-keys.json"),
        }
        _, found = doctor(healthy | given)
    assert "cannot be had from" in texts(found["client keys"], "warning")
    assert "SSLError" in texts(found["client keys"], "warning")
    assert "answers, with 2 keys" in texts(found["issuer"], "ok")
