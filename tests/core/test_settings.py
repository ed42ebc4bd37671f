"""Settings are read whole, validated whole, and documented."""

import dataclasses
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from webrtc_events.core.model import EventType
from webrtc_events.core.setting_values import PrivateKey
from webrtc_events.core.settings import PREFIX, Settings, SettingsError

LEAST = {
    "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "https://issuer.example/.well-known/openid-configuration",
    "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
}


def test_the_least_environment_gets_the_documented_defaults() -> None:
    settings = Settings.from_environ(LEAST)
    assert settings.partitions == 64
    assert settings.apis == {"public", "network"}
    assert settings.sink_allowed_networks == ()
    assert settings.deadline_ms(EventType.SESSION_INVITATION) == 120_000


def test_every_fault_is_reported_at_once_by_its_name() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(
            {
                "WEBRTC_EVENTS_SECRET_KEY": "short",
                "WEBRTC_EVENTS_APIS": "private",
                "WEBRTC_EVENTS_PARTITIONS": "0",
                "WEBRTC_EVENTS_PARTITION": "64",
            }
        )
    named = {fault.split()[0].removeprefix(PREFIX) for fault in caught.value.faults}
    assert named == {"OPENID_CONFIGURATION_URL", "SECRET_KEY", "APIS", "PARTITIONS", "PARTITION"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://127.0.0.1"),
        ("REDIS_URL", ""),
        ("SOURCE", "my service"),
        ("SOURCE", ""),
        ("SECRET_KEY", "A" * 42),
        ("SECRET_KEY", "A" * 42 + "!"),
        ("STRICT_CLOUDEVENTS", "yes"),
        ("STRICT_CLOUDEVENTS", "app,"),
        ("SINK_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("SINK_CA_FILE", "/nonexistent.pem"),
        ("PARTITIONS", "٧"),
        ("ACK_REPLICAS", "-1"),
        ("SINK_PORTS", ""),
        ("SINK_PORTS", "0"),
        ("SINK_PORTS", "443,70000"),
        ("SINK_PORTS", "2000-1000"),
        ("SINK_VALIDATION", "true"),
        *(("SINK_VALIDATION_ORIGIN", name) for name in ("a b", "a_b", "-a", "a-", "a.", ".a", "é", "a" * 64)),
        *(("SINK_VALIDATION_ORIGIN", name) for name in ("192.0.2.1", "a.b:443", "https://a.b", "*", "a.\n")),
        ("SIGNING_KEYS", "/nonexistent.pem"),
        ("STORE_WATERMARK", "101"),
        ("OUTBOX_LENGTH", "15"),
        ("EVENT_BYTES", "4095"),
        ("SHARED_PAYLOADS", "yes"),
        ("CALL_TRACES", "on"),
        ("CALL_TRACES_KEPT", "0"),
        ("CALL_TRACES_S", "0"),
        *((name, "262143") for name in ("OUTBOX_BYTES", "CLAIM_BYTES", "WORKER_BYTES")),
        ("SECRET_KEY", "A" * 43 + ","),
        ("OPENID_CONFIGURATION_URL", "ftp://issuer.example/"),
    ],
)
def test_a_bad_value_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=PREFIX + name):
        Settings.from_environ(LEAST | {PREFIX + name: value})


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("http://127.0.0.1:9091/issuer/x", True),
        ("http://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://issuer.example/x", False),
        ("http://127.0.0.1.example.com/x", False),
    ],
)
def test_an_http_issuer_is_accepted_on_loopback_only(url: str, *, good: bool) -> None:
    environ = LEAST | {"WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": url}
    if good:
        assert Settings.from_environ(environ).openid_configuration_url == url
    else:
        with pytest.raises(SettingsError, match="http only on loopback"):
            Settings.from_environ(environ)


SIGNING = PREFIX + "SIGNING_KEYS"


def private_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def test_signing_keys_are_read_at_start_in_their_order(tmp_path: Path) -> None:
    keys: list[PrivateKey] = [
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
    ]
    files = [tmp_path / f"{number}.pem" for number, _ in enumerate(keys)]
    for file, key in zip(files, keys, strict=True):
        file.write_bytes(private_pem(key))
    settings = Settings.from_environ(LEAST | {SIGNING: ", ".join(map(str, files))})
    assert [signing_key.public_key() for signing_key in settings.signing_keys] == [
        key.public_key() for key in keys
    ]
    assert "signing_keys" not in repr(settings)
    assert Settings.from_environ(LEAST | {SIGNING: ""}).signing_keys == ()


ED25519 = ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no private key in PEM"),
        (
            b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n",
            "holds no private key in PEM",
        ),
        (
            ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "holds no private key in PEM",
        ),
        (private_pem(ED25519, b"secret"), "is protected by a password"),
        (private_pem(ec.generate_private_key(ec.SECP521R1())), "is no Ed25519 key, EC key on P-256 or P-384"),
        (private_pem(rsa.generate_private_key(65537, 2047)), "or RSA key of at least 2048 bits"),  # noqa: S505
    ],
    ids=["empty", "damaged", "public", "with password", "other curve", "short"],
)
def test_what_is_no_signing_key_is_reported_with_its_file(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(LEAST | {SIGNING: str(file)})
    [fault] = caught.value.faults
    assert fault.startswith(f"{SIGNING} names {str(file)!r}, which ")
    assert message in fault


def test_a_signing_key_is_named_once(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(private_pem(ED25519))
    with pytest.raises(SettingsError, match="twice"):
        Settings.from_environ(LEAST | {SIGNING: f"{file},{file}"})


TOKENS = PREFIX + "TOKEN_KEYS"
JWKS_URI = {PREFIX + "TOKEN_JWKS_URI": "https://webrtc.example/.well-known/client-keys.json"}


def test_token_keys_are_of_their_own_purpose_and_published(tmp_path: Path) -> None:
    for name, key in (("sign", ED25519), ("token", ec.generate_private_key(ec.SECP256R1()))):
        (tmp_path / name).write_bytes(private_pem(key))
    given = LEAST | {SIGNING: str(tmp_path / "sign"), TOKENS: str(tmp_path / "token")}
    assert len(Settings.from_environ(given | JWKS_URI).token_keys) == 1
    with pytest.raises(
        SettingsError, match="TOKEN_KEYS and WEBRTC_EVENTS_TOKEN_JWKS_URI must be set together"
    ):
        Settings.from_environ(given)
    with pytest.raises(SettingsError, match="must be set together"):
        Settings.from_environ(LEAST | JWKS_URI)
    both = given | JWKS_URI | {TOKENS: f"{tmp_path / 'token'},{tmp_path / 'sign'}"}
    with pytest.raises(SettingsError, match="TOKEN_KEYS names a key of WEBRTC_EVENTS_SIGNING_KEYS"):
        Settings.from_environ(both)


@pytest.mark.parametrize(
    ("given", "audiences"),
    [
        ("", ()),
        (
            "https://a.example/token=https://a.example/realms/x, https://b.example/t=b",
            (("https://a.example/token", "https://a.example/realms/x"), ("https://b.example/t", "b")),
        ),
    ],
)
def test_audiences_are_by_token_uri(given: str, audiences: object) -> None:
    settings = Settings.from_environ(LEAST | {PREFIX + "TOKEN_AUDIENCES": given})
    assert settings.token_audiences == audiences


@pytest.mark.parametrize("given", ["https://a.example/token", "a=b", "https://a.example/=", "=b"])
def test_what_names_no_audience_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="TOKEN_AUDIENCES must be"):
        Settings.from_environ(LEAST | {PREFIX + "TOKEN_AUDIENCES": given})


@pytest.mark.parametrize(
    ("source", "given", "origin"),
    [
        ("https://webrtc.operator.example/events", "", "webrtc.operator.example"),
        ("https://webrtc.operator.example:8443/", "sender.operator.example", "sender.operator.example"),
        ("/webrtc-events", "sender", "sender"),
        ("//operator.example/calls", "", "operator.example"),
    ],
)
def test_sinks_are_asked_under_a_name_of_this_system(source: str, given: str, origin: str) -> None:
    environ = {"WEBRTC_EVENTS_SOURCE": source, "WEBRTC_EVENTS_SINK_VALIDATION_ORIGIN": given}
    settings = Settings.from_environ(LEAST | environ | {"WEBRTC_EVENTS_SINK_VALIDATION": "on"})
    assert settings.origin == origin


@pytest.mark.parametrize(
    "source", ["/webrtc-events", "urn:uuid:1", "https://192.0.2.1/x", "https://[2001:db8::1]/"]
)
def test_without_a_name_sinks_cannot_be_asked(source: str) -> None:
    environ = LEAST | {"WEBRTC_EVENTS_SOURCE": source}
    assert Settings.from_environ(environ).origin is None
    with pytest.raises(SettingsError, match="SINK_VALIDATION_ORIGIN must be set"):
        Settings.from_environ(environ | {"WEBRTC_EVENTS_SINK_VALIDATION": "on"})


def test_the_secret_key_is_not_shown() -> None:
    assert "secret_key" not in repr(Settings.from_environ(LEAST))


def test_the_document_lists_every_setting_once_with_its_default() -> None:
    document = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    rows = [line for line in document.splitlines() if line.startswith("| `")]
    cells = {row.split("`")[1]: [cell.strip() for cell in row.strip("|").split("|")] for row in rows}
    # What is read before there are settings.
    names = {field.name.upper() for field in dataclasses.fields(Settings)} | {"DATA_DIR", "CONFIG"}
    assert len(rows) == len(cells)
    assert cells.keys() == names
    for field in dataclasses.fields(Settings):
        _, unit, shown, meaning = cells[field.name.upper()]
        default = field.metadata["default"]
        assert shown == f"`{default}`" if default else shown.startswith("none")
        assert unit
        assert meaning
