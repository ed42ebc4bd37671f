"""The settings of traces: the names that OpenTelemetry gave them, read as all settings are.

Source: OpenTelemetry, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter".
"""

import math
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from webrtc_events.core import setting_values as read
from webrtc_events.core.setting_fields import setting

__all__ = ["RATIO_SAMPLERS", "TraceSettings", "key_values", "otlp_url"]

RATIO_SAMPLERS: Final = ("traceidratio", "parentbased_traceidratio")
"""Those that have an argument."""

_SAMPLERS: Final = (
    *("always_on", "always_off", "parentbased_always_on", "parentbased_always_off"),
    *RATIO_SAMPLERS,
)
# A header's name; a key of an attribute has no more.
_KEY: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]{1,256}")
_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f]*")


def otlp_url(raw: str) -> str:
    """The base to which the path of each signal is added."""
    try:
        parts = urlsplit(raw)
        # ValueError: it is no number.
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be an http or https URL without credentials, such as http://collector:4318")
    return raw


def ratio(raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ValueError("must be a number from 0 to 1, such as 0.01 for one trace of a hundred")
    return value


def key_values(raw: str) -> tuple[tuple[str, str], ...]:
    """`key=value` parts, joined by commas, values percent-encoded. Of two with one key the last counts."""
    found = {}
    for part in filter(None, map(str.strip, raw.split(","))):
        key, equals, text = part.partition("=")
        value = unquote(text.strip())
        if not equals or not _KEY.fullmatch(key.strip()) or not _VALUE.fullmatch(value):
            # Without the part, which may be secret.
            raise ValueError("must be key=value parts joined by commas, their values percent-encoded")
        found[key.strip()] = value
    return tuple(found.items())


# Without slots: Python allows one base with slots, and `Settings` has several parts.
@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """Names that begin with `otel_` have no prefix in the environment."""

    otel_exporter_otlp_endpoint: str | None = setting(
        otlp_url,
        "",
        "collector of traces: http://host:4318, to which /v1/traces is added; without it there are none",
    )
    otel_exporter_otlp_headers: tuple[tuple[str, str], ...] = setting(
        key_values, "", "headers for the collector, as key=value,key=value", secret=True
    )
    otel_traces_exporter: str = setting(
        read.choice("otlp", "none"), "otlp", "`none`: no traces, whatever else is set"
    )
    otel_sdk_disabled: bool = setting(read.flag, "false", "`true`: the same")
    otel_traces_sampler: str = setting(
        read.choice(*_SAMPLERS), "parentbased_always_on", "which traces are recorded"
    )
    otel_traces_sampler_arg: float = setting(
        ratio, "1", "share of traces that a ratio sampler records, 0 to 1"
    )
    otel_service_name: str = setting(read.text, "webrtc-events", "name of this service in traces")
    otel_resource_attributes: tuple[tuple[str, str], ...] = setting(
        key_values, "", "what traces say of where they come from, as key=value,key=value"
    )

    @property
    def traces(self) -> bool:
        """Whether there are to be traces of OpenTelemetry."""
        is_off = self.otel_sdk_disabled or self.otel_traces_exporter == "none"
        return self.otel_exporter_otlp_endpoint is not None and not is_off
