"""The settings of a `serve`: those that are given, with the local parts filled in."""

from collections.abc import Mapping
from pathlib import Path

from webrtc_events.core.client_choice import parse_client_choice
from webrtc_events.core.setting_sources import Origin, SettingText, SettingTexts
from webrtc_events.core.settings import PREFIX, SettingsError, given_texts
from webrtc_events.local.data_directory import write_private
from webrtc_events.local.local_error import LocalError

__all__ = ["LOOPBACK", "local_texts", "possible_forms"]

LOOPBACK = "127.0.0.0/8,::1/128"
# A name for channels, which nothing connects to. It stays the same if `serve` gets another port.
_CHANNELS_URL = "https://channels.localhost/channels/v0"
# As subscriptions show it, which must be https. The keys are at the same path of the API.
_JWKS_URI = "https://keys.localhost/.well-known/client-keys.json"
_ORIGINS = ",".join(
    f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1")
)


def local_texts(
    given: SettingTexts,
    *,
    redis_url: str,
    openid_configuration_url: str,
    secret_key: str,
    ca: Path,
    operator_sink: str = "",
    token_key: Path | None = None,
) -> SettingTexts:
    """The given settings win; sinks on loopback and the local CA are added to them.

    `operator_sink`: '' for none. `token_key`: what authenticates at token servers, None for nothing.

    Raises:
        LocalError: the CA file that a setting names cannot be read.
    """
    networks = given.get("sink_allowed_networks")
    chosen = {
        "redis_url": redis_url,
        "openid_configuration_url": openid_configuration_url,
        "secret_key": secret_key,
        "call_traces": "full",
        # With all that is said in it, a call takes 150 kB: this is a machine with other work.
        "call_traces_kept": "1000",
        "channels_url": _CHANNELS_URL,
        "cors_origins": _ORIGINS,
        "operator_sink": operator_sink,
        **({} if token_key is None else {"token_keys": str(token_key), "token_jwks_uri": _JWKS_URI}),
        **({} if "source" in given else {"sink_validation_origin": "localhost"}),
    }
    added = {
        "sink_ca_file": str(_ca_file(given.get("sink_ca_file"), ca)),
        "sink_allowed_networks": f"{networks.text},{LOOPBACK}" if networks and networks.text else LOOPBACK,
    }
    return _local(chosen) | dict(given) | _local(added)


def _local(texts: Mapping[str, str]) -> dict[str, SettingText]:
    return {
        name: SettingText(text, Origin.LOCAL, "serve", PREFIX + name.upper()) for name, text in texts.items()
    }


def possible_forms(environ: Mapping[str, str]) -> tuple[bool, ...]:
    """Whether session-status may come in the strict form: no, yes, or both where clients differ.

    Raises:
        SettingsError: that setting is wrong, or where the settings come from.
    """
    texts, faults = given_texts(environ)
    if faults:
        raise SettingsError(faults)
    given = texts.get("strict_cloudevents")
    if given is None:
        return (False,)
    try:
        return parse_client_choice(given.text).possible
    except ValueError as error:
        raise SettingsError([f"{given.named} {error}"]) from None


def _ca_file(given: SettingText | None, ca: Path) -> Path:
    if given is None or not given.text:
        return ca
    try:
        content = Path(given.text).read_bytes()
    except OSError as error:
        raise LocalError(f"{given.named}: cannot read {given.text}: {error.strerror}") from error
    both = ca.with_name("trusted.pem")
    write_private(both, content.rstrip() + b"\n" + ca.read_bytes())
    return both
