"""One frozen object of settings, validated whole at start. setting_sources.py says where they come from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webrtc_events.core import setting_values as read
from webrtc_events.core.client_certificates import CertificateFiles, parse_client_certificates
from webrtc_events.core.client_choice import ClientChoice, parse_client_choice
from webrtc_events.core.egress_proxy import (
    NoProxy,
    ProxyUrl,
    parse_no_proxy,
    parse_proxy_credentials,
    parse_proxy_url,
)
from webrtc_events.core.model import EventType
from webrtc_events.core.operator_settings import OperatorSettings
from webrtc_events.core.port_set import PortSet
from webrtc_events.core.setting_fields import SettingsError, variable_of
from webrtc_events.core.setting_fields import setting as _setting
from webrtc_events.core.setting_sources import PREFIX, Kind, Origin, SettingText, SettingTexts, read_sources
from webrtc_events.core.store_url import StoreUrl, parse_store_url
from webrtc_events.core.token_settings import TokenSettings, audiences
from webrtc_events.core.trace_settings import TraceSettings, key_values

__all__ = [
    "LEAST_WORKER_BYTES",
    "PREFIX",
    "Settings",
    "SettingsError",
    "given_texts",
    "parsed",
    "valid_text",
    "whole_texts",
]

LEAST_WORKER_BYTES = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(OperatorSettings, TokenSettings, TraceSettings):
    """What a deployment decides: each field is an environment variable, and a key of the file of settings."""

    redis_url: StoreUrl = _setting(
        parse_store_url,
        "redis://127.0.0.1:6379/0",
        "store: redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://",
    )
    openid_configuration_url: str = _setting(
        read.openid_url, None, "OIDC discovery document of the token issuer"
    )
    audience: str = _setting(read.text, "webrtc-events", "audience that access tokens must name")
    source: str = _setting(
        read.uri_reference, "/webrtc-events", "`source` of outgoing events, a URI reference"
    )
    secret_key: tuple[bytes, ...] = _setting(
        read.secret_keys,
        None,
        "32 bytes, base64url; seals sink credentials in the store. Of several, the first seals and all open",
        secret=True,
    )
    sink_ca_file: Path | None = _setting(
        read.file, "", "PEM file of CAs that sinks may use besides the system's"
    )
    sink_allowed_networks: tuple[read.IPNetwork, ...] = _setting(
        read.networks, "", "CIDRs that sinks may be in besides public addresses"
    )
    sink_ports: PortSet = _setting(read.ports, "443,1024-65535", "ports that sinks may use")
    sink_client_certificates: tuple[CertificateFiles, ...] = _setting(
        parse_client_certificates,
        "",
        "certificates shown to sinks: certificate:key for all, host=certificate:key for some",
    )
    egress_proxy: ProxyUrl | None = _setting(
        parse_proxy_url, "", "proxy that requests leave by: http://host:port or https://host:port"
    )
    egress_proxy_credentials: str | None = _setting(
        parse_proxy_credentials, "", "user:password for the egress proxy", secret=True
    )
    egress_proxy_ca_file: Path | None = _setting(
        read.file, "", "PEM file of CAs that an https egress proxy may use besides the system's"
    )
    egress_no_proxy: NoProxy = _setting(
        parse_no_proxy, "", "host names, with all below them, and CIDRs that are reached without the proxy"
    )
    sink_in_flight: int = _setting(
        read.count(1), "64", "notifications of a worker on their way to one sink at once"
    )
    sink_connections: int = _setting(read.count(1), "64", "connections of a worker to one sink at once")
    sink_validation: bool = _setting(
        read.switch, "off", "ask a sink whether it agrees before its subscription is active"
    )
    sink_validation_s: int = _setting(read.count(1), "600", "seconds in which a sink may agree")
    sink_validation_origin: str | None = _setting(
        read.dns_name, "", "DNS name under which sinks are asked; else the host of `source`"
    )
    sink_failure_s: int = _setting(
        read.count(0),
        "86400",
        "seconds of continuous failures of a sink that end its subscription; 0: never",
    )
    signing_keys: tuple[read.PrivateKey, ...] = _setting(
        read.signing_keys,
        "",
        "PEM files of private keys: the first signs notifications, all are published",
        secret=True,
    )
    console_url: str | None = _setting(
        read.console_url, "", "the console's address in browsers, https://<host>; with it people log in"
    )
    console_client_id: str | None = _setting(read.text, "", "the console's client id at the token issuer")
    console_client_secret: str | None = _setting(
        read.text, "", "the console's client secret; a public client has none", secret=True
    )
    log_format: str = _setting(
        read.choice("console", "json"), "console", "how lines of the log are written: for people, or as JSON"
    )
    log_level: str = _setting(
        read.choice("debug", "info", "warning", "error"), "info", "the least level that is logged"
    )
    metrics_address: read.HostPort | None = _setting(
        read.host_port, "", "host:port of a listener for /metrics; without it there is none"
    )
    log_requests: int = _setting(
        read.count(0),
        "0",
        "one of this many requests has a line in the log, and each that fails; with 0 none",
    )
    log_deliveries: int = _setting(
        read.count(0), "1", "one of this many deliveries has a line in the log, with 0 none"
    )
    log_personal_data: bool = _setting(read.flag, "false", "log addresses and names in clear")
    strict_cloudevents: ClientChoice = _setting(
        parse_client_choice,
        "false",
        "clients whose session-status carries mediaSessionId and status in `data` only",
    )
    next: bool = _setting(
        read.flag, "false", "serve CAMARA's next contract too, WebRTC Events Subscriptions 0.3"
    )
    trusted_proxies: tuple[read.IPNetwork, ...] = _setting(
        read.networks, "", "CIDRs of proxies whose Forwarded and X-Forwarded-* headers count"
    )
    base_path: str = _setting(
        read.base_path, "/", "path before all others, as clients see it, such as /camara"
    )
    apis: frozenset[str] = _setting(read.apis, "public,network", "which APIs this process serves")
    require_known_registration: bool = _setting(
        read.flag, "false", "refuse registrations and sessions that the gateway has not published"
    )
    max_lifetime_s: int = _setting(
        read.count(0), "0", "longest life of a subscription in seconds; 0: no limit"
    )
    max_subscriptions: int = _setting(read.count(0), "10000", "active subscriptions of a client; 0: no limit")
    max_registration_subscriptions: int = _setting(
        read.count(0), "50", "active subscriptions to a registration, of all clients; 0: no limit"
    )
    max_session_subscriptions: int = _setting(
        read.count(0), "100", "active subscriptions to a media session, of all clients; 0: no limit"
    )
    requests_per_s: int = _setting(read.count(0), "100", "requests a second of a client; 0: no limit")
    requests_at_once: int = _setting(read.count(1), "200", "requests of a client at once, above its rate")
    token_lead_s: int = _setting(
        read.count(0), "10", "seconds before a sink token's expiry at which its subscription ends"
    )
    session_linger_s: int = _setting(
        read.count(1), "3600", "seconds after a session's last status at which its subscriptions end"
    )
    state_s: int = _setting(
        read.count(1), "86400", "seconds for which the latest state of sessions and registrations is kept"
    )
    partitions: int = _setting(read.count(1), "64", "partitions of the store; fixed at its first start")
    ack_replicas: int = _setting(read.count(0), "0", "replicas that must hold an event before its 202")
    require_durable_store: bool = _setting(
        read.flag, "false", "start only on a store that is shown to be durable, and accept only while it is"
    )
    dedupe_window_s: int = _setting(
        read.count(1), "86400", "seconds in which a repeated (source, id) is a duplicate"
    )
    channels_url: str | None = _setting(
        read.channels_url, "", "public https URL of the channels' API; without it there are no channels"
    )
    max_channels: int = _setting(read.count(0), "1000", "notification channels of a client; 0: no limit")
    channel_idle_s: int = _setting(
        read.count(1), "86400", "seconds after which a channel ends that nobody uses"
    )
    channel_length: int = _setting(read.count(1), "1000", "events kept in each log of a channel")
    channel_bytes: int = _setting(
        read.count(4096), "4194304", "bytes of events kept in each log of a channel"
    )
    channel_age_s: int = _setting(read.count(1), "86400", "seconds for which a channel keeps an event")
    channel_readers: int = _setting(
        read.count(1), "10000", "readers of channels that an API process serves at once"
    )
    cors_origins: frozenset[str] = _setting(
        read.origins, "", "web origins whose pages may use the public API and the channels"
    )
    retention_s: int = _setting(
        read.count(1), "3600", "seconds for which an ended subscription is still shown"
    )
    outbox_length: int = _setting(read.count(16), "1000", "events that may wait for one subscription's sink")
    outbox_bytes: int = _setting(
        read.count(65_536), "16777216", "bytes of events that may wait for one subscription's sink"
    )
    outbox_age_s: int = _setting(read.count(1), "86400", "seconds for which an event may wait in an outbox")
    dead_letters: int = _setting(read.count(1), "1000", "dead letters kept, in each partition")
    dead_letters_bytes: int = _setting(
        read.count(1), "4194304", "bytes of dead letters kept, in each partition"
    )
    dead_letters_s: int = _setting(read.count(1), "604800", "seconds for which dead letters are kept")
    attempts: int = _setting(read.count(1), "1000", "delivery attempts kept, in each partition")
    attempts_s: int = _setting(read.count(1), "604800", "seconds for which delivery attempts are kept")
    call_traces: str = _setting(
        read.choice("off", "metadata", "full"),
        "off",
        "keep what happened to the events of each media session, for the console; `full`: with their content",
    )
    call_traces_kept: int = _setting(read.count(1), "10000", "media sessions of which a trace is kept")
    call_traces_s: int = _setting(
        read.count(1), "86400", "seconds for which a trace is kept after its last entry"
    )
    event_bytes: int = _setting(read.count(4096), "262144", "bytes that one event may have, as it is kept")
    claim_bytes: int = _setting(
        read.count(65_536), "4194304", "bytes of events that a worker takes from a partition at once"
    )
    worker_bytes: int = _setting(
        read.count(LEAST_WORKER_BYTES), "33554432", "bytes of events that a worker holds at once"
    )
    shared_payloads: str = _setting(
        read.choice("auto", "on", "off"),
        "auto",
        "keep a payload once for all its outboxes; `auto`: in a store that 0.1.0 never used",
    )
    store_watermark: int = _setting(
        read.count(1, 100), "90", "percent of the store's maxmemory above which nothing more is accepted"
    )
    session_invitation_deadline_s: int = _setting(
        read.count(1), "120", "seconds to deliver a session-invitation"
    )
    session_status_deadline_s: int = _setting(read.count(1), "600", "seconds to deliver a session-status")
    registration_ends_deadline_s: int = _setting(
        read.count(1), "86400", "seconds to deliver a registration-ends"
    )
    subscription_ended_deadline_s: int = _setting(
        read.count(1), "86400", "seconds to deliver a subscription-ended"
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads and checks every setting, wherever it stands: see setting_sources.py.

        Raises:
            SettingsError: names every fault, and every name that is no setting.
        """
        return cls.from_texts(*given_texts(environ))

    @classmethod
    def from_texts(cls, given: SettingTexts, faults: Sequence[str] = ()) -> "Settings":
        """
        Raises:
            SettingsError: names every fault, `faults` among them.
        """
        texts = whole_texts(given)
        settings = cls(**_values(texts, faults))
        if found := list(_contradictions(settings, texts)):
            raise SettingsError(found)
        return settings

    @property
    def origin(self) -> str | None:
        """The DNS name under which sinks are asked whether they agree, if there is one."""
        if self.sink_validation_origin is not None:
            return self.sink_validation_origin
        try:
            return read.dns_name(urlsplit(self.source).hostname or "")
        except ValueError:
            return None

    def deadline_ms(self, event_type: EventType) -> int:
        """How long an event of this type may wait for its sink, in ms."""
        return (
            1000
            * {
                EventType.SESSION_INVITATION: self.session_invitation_deadline_s,
                EventType.SESSION_STATUS: self.session_status_deadline_s,
                EventType.REGISTRATION_ENDS: self.registration_ends_deadline_s,
                EventType.SUBSCRIPTION_ENDED: self.subscription_ended_deadline_s,
            }[event_type]
        )


# What is not set is none, but for these, of which it is empty.
_EMPTY: Mapping[Any, Any] = {
    read.networks: (),
    read.signing_keys: (),
    key_values: (),
    audiences: (),
    read.origins: frozenset(),
    parse_client_certificates: (),
    parse_no_proxy: NoProxy(),
}

_KINDS: Mapping[Any, Kind] = {
    read.switch: Kind.SWITCH,
    **dict.fromkeys(
        (read.apis, read.networks, read.origins, read.ports, read.secret_keys, read.signing_keys), Kind.LIST
    ),
    **dict.fromkeys((parse_client_certificates, parse_client_choice, parse_no_proxy), Kind.LIST),
    **dict.fromkeys((audiences, key_values), Kind.LIST),
}


def given_texts(environ: Mapping[str, str]) -> tuple[SettingTexts, list[str]]:
    """The texts of the settings that somebody set, and what is wrong with where they stand."""
    known = {setting.name: _KINDS.get(setting.metadata["parse"], Kind.VALUE) for setting in fields(Settings)}
    return read_sources(environ, known)


def whole_texts(given: SettingTexts) -> SettingTexts:
    """The texts of all settings; it lacks those that must be set and are not."""
    defaults = {
        setting.name: SettingText(
            setting.metadata["default"], Origin.DEFAULT, "default", variable_of(setting.name)
        )
        for setting in fields(Settings)
        if setting.metadata["default"] is not None
    }
    return defaults | dict(given)


def parsed(setting: "Field[Any]", text: str) -> Any:
    """
    Raises:
        ValueError: says what the text must be. It repeats no secret.
    """
    parse = setting.metadata["parse"]
    return _EMPTY.get(parse) if not text and setting.metadata["default"] == "" else parse(text)


def valid_text(given: SettingTexts, name: str) -> str:
    """Of one setting, before all are read; its default where what is given is not valid."""
    [setting] = [setting for setting in fields(Settings) if setting.name == name]
    default: str = setting.metadata["default"]
    text = given[name].text if name in given else default
    try:
        parsed(setting, text)
    except ValueError:
        return default
    return text


def _values(texts: SettingTexts, faults: Sequence[str]) -> dict[str, Any]:
    """
    Raises:
        SettingsError: `faults`, and each text that is missing or wrong.
    """
    values: dict[str, Any] = {}
    found = []
    for setting in fields(Settings):
        text = texts.get(setting.name)
        if text is None:
            if not any(setting.name in fault.lower() for fault in faults):
                found.append(f"{variable_of(setting.name)} must be set: {setting.metadata['help']}")
            continue
        try:
            values[setting.name] = parsed(setting, text.text)
        except ValueError as error:
            found.append(f"{text.named} {error}")
    if found or faults:
        raise SettingsError([*found, *faults])
    return values


def _contradictions(settings: Settings, texts: SettingTexts) -> Iterator[str]:
    """What is wrong with settings that are right each by itself."""
    if settings.sink_validation and settings.origin is None:
        named = texts["sink_validation_origin"].named
        yield f"{named} must be set: {texts['source'].named} has no DNS name to ask sinks under"
    if (settings.console_url is None) != (settings.console_client_id is None):
        both = f"{texts['console_url'].named} and {texts['console_client_id'].named}"
        yield f"{both} must be set together: people log in with both"
    if settings.egress_proxy is None and settings.egress_proxy_credentials is not None:
        named = texts["egress_proxy_credentials"].named
        yield f"{named} has no proxy to go to: {texts['egress_proxy'].named} is not set"
    yield from settings.contradictions_of_operators(texts)
    yield from settings.contradictions_of_tokens(texts, settings.signing_keys)
    for name in ("outbox_bytes", "claim_bytes", "worker_bytes"):
        if getattr(settings, name) < settings.event_bytes:
            # An event that is accepted must get to its sink.
            least = f"must be at least {texts['event_bytes'].named}, {settings.event_bytes}"
            yield f"{texts[name].named} {least}"
