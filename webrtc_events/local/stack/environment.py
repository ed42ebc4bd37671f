"""The environment of a `serve`: the settings that are given, with the local parts filled in."""

from collections.abc import Mapping
from pathlib import Path

from webrtc_events.core.client_choice import parse_client_choice
from webrtc_events.core.settings import PREFIX, SettingsError
from webrtc_events.local.data_directory import write_private
from webrtc_events.local.local_error import LocalError

__all__ = ["LOOPBACK", "local_environ", "possible_forms"]

LOOPBACK = "127.0.0.0/8,::1/128"
# A name for channels, which nothing connects to. It stays the same if `serve` gets another port.
_CHANNELS_URL = "https://channels.localhost/channels/v0"
_ORIGINS = ",".join(
    f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1")
)


def local_environ(
    environ: Mapping[str, str], *, redis_url: str, openid_configuration_url: str, secret_key: str, ca: Path
) -> dict[str, str]:
    """The given settings win; sinks on loopback and the local CA are added to them.

    Raises:
        LocalError: the CA file named in the environment cannot be read.
    """
    filled = dict(environ)
    filled.setdefault(f"{PREFIX}REDIS_URL", redis_url)
    filled.setdefault(f"{PREFIX}OPENID_CONFIGURATION_URL", openid_configuration_url)
    filled.setdefault(f"{PREFIX}SECRET_KEY", secret_key)
    filled.setdefault(f"{PREFIX}CALL_TRACES", "full")
    # With all that is said in it, a call takes 150 kB: this is a machine with other work.
    filled.setdefault(f"{PREFIX}CALL_TRACES_KEPT", "1000")
    filled[f"{PREFIX}SINK_CA_FILE"] = str(_ca_file(environ.get(f"{PREFIX}SINK_CA_FILE"), ca))
    filled.setdefault(f"{PREFIX}CHANNELS_URL", _CHANNELS_URL)
    filled.setdefault(f"{PREFIX}CORS_ORIGINS", _ORIGINS)
    if f"{PREFIX}SOURCE" not in environ:
        filled.setdefault(f"{PREFIX}SINK_VALIDATION_ORIGIN", "localhost")
    networks = environ.get(f"{PREFIX}SINK_ALLOWED_NETWORKS")
    filled[f"{PREFIX}SINK_ALLOWED_NETWORKS"] = f"{networks},{LOOPBACK}" if networks else LOOPBACK
    return filled


def possible_forms(environ: Mapping[str, str]) -> tuple[bool, ...]:
    """Whether session-status may come in the strict form: no, yes, or both where clients differ.

    Raises:
        SettingsError: the environment.
    """
    name = f"{PREFIX}STRICT_CLOUDEVENTS"
    try:
        return parse_client_choice(environ.get(name, "false")).possible
    except ValueError as error:
        raise SettingsError([f"{name} {error}"]) from None


def _ca_file(given: str | None, ca: Path) -> Path:
    if not given:
        return ca
    try:
        content = Path(given).read_bytes()
    except OSError as error:
        raise LocalError(f"{PREFIX}SINK_CA_FILE: cannot read {given}: {error.strerror}") from error
    both = ca.with_name("trusted.pem")
    write_private(both, content.rstrip() + b"\n" + ca.read_bytes())
    return both
