"""Whether a process records traces, and what it needs for that: OpenTelemetry is loaded nowhere else."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.settings import Settings, SettingsError

if TYPE_CHECKING:
    from webrtc_events.telemetry.tracing import Tracing

__all__ = ["check_tracing", "start_tracing"]

_PACKAGES: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")

_MISSING: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, which need packages that are not installed: "
    "pip install 'webrtc-events[otel]', or set OTEL_TRACES_EXPORTER=none"
)


def check_tracing(settings: Settings) -> None:
    """For a parent, which records none: so that what its children need is said once.

    Raises:
        SettingsError: traces are asked for, and the extra is not installed.
    """
    if settings.traces and not all(map(_is_installed, _PACKAGES)):
        raise SettingsError([_MISSING])


def start_tracing(settings: Settings, clock: Clock) -> "Tracing | None":
    """None: the settings ask for no traces. It starts a thread, so a process calls it after its fork.

    Raises:
        SettingsError: see `check_tracing`; or the library cannot use what it reads itself.
    """
    if not settings.traces:
        return None
    check_tracing(settings)
    try:
        from webrtc_events.telemetry.tracing import Tracing
    except ValueError as error:
        # While it is loaded it reads limits of spans, which are not used here.
        raise SettingsError([str(error)]) from error

    return Tracing.of(settings, clock)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
