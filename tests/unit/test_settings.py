"""Settings are read whole, checked whole, and told to readers."""

import dataclasses
from pathlib import Path

import pytest

from webrtc_events.model import EventType
from webrtc_events.settings import PREFIX, Settings, SettingsError

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


def test_every_fault_is_told_at_once_by_its_name() -> None:
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
        ("SINK_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("SINK_CA_FILE", "/nonexistent.pem"),
        ("PARTITIONS", "٧"),
        ("ACK_REPLICAS", "-1"),
        ("SINK_PORTS", ""),
        ("SINK_PORTS", "0"),
        ("SINK_PORTS", "443,70000"),
        ("SINK_PORTS", "2000-1000"),
        ("SINK_VALIDATION", "true"),
        ("SIGNING_KEYS", "/nonexistent.pem"),
        ("STORE_WATERMARK", "101"),
        ("OUTBOX_LENGTH", "15"),
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


def test_the_secret_key_is_not_shown() -> None:
    assert "secret_key" not in repr(Settings.from_environ(LEAST))


def test_the_readme_lists_every_setting_with_its_default() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    rows = {line.split("`")[1]: line for line in readme.splitlines() if line.startswith("| `")}
    for each in dataclasses.fields(Settings):
        row = rows[each.name.upper()]
        default = each.metadata["default"]
        assert f"`{default}`" in row if default else "none" in row
