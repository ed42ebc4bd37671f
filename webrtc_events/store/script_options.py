"""The options that every Lua script has in its text."""

from dataclasses import dataclass

from webrtc_events.core.model import EventType
from webrtc_events.core.settings import Settings
from webrtc_events.store.formats import FORMAT

__all__ = ["DEFAULT_OPTIONS", "StoreOptions", "script_options"]


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What tests and measurements change, and no deployment does.

    `offset_ms` shifts the store's clock. `work`: after how many subscriptions a script that appends makes way
    for others. `shared_from`: a payload is kept once for all its outboxes if that saves this many bytes.
    """

    lease_ms: int = 13_200
    offset_ms: int = 0
    work: int = 50
    shared_from: int = 65_536


DEFAULT_OPTIONS = StoreOptions()


def script_options(
    settings: Settings, options: StoreOptions, *, omits_defaults: bool
) -> dict[str, int | str]:
    """`omits_defaults`: new records lack them (record_defaults.py). Source: lua/shared/common.lua."""
    return {
        "omits_defaults": int(omits_defaults),
        "format": FORMAT,
        "work": options.work,
        "lease_ms": options.lease_ms,
        "end_deadline_ms": settings.deadline_ms(EventType.SUBSCRIPTION_ENDED),
        "registration_ends_deadline_ms": settings.deadline_ms(EventType.REGISTRATION_ENDS),
        "dedupe_ms": settings.dedupe_window_s * 1000,
        "retention_ms": settings.retention_s * 1000,
        "token_lead_ms": settings.token_lead_s * 1000,
        "linger_ms": settings.session_linger_s * 1000,
        "state_ms": settings.state_s * 1000,
        "max_lifetime_ms": settings.max_lifetime_s * 1000,
        "outbox_length": settings.outbox_length,
        "outbox_bytes": settings.outbox_bytes,
        "outbox_age_ms": settings.outbox_age_s * 1000,
        "dead_letters": settings.dead_letters,
        "dead_letters_bytes": settings.dead_letters_bytes,
        "dead_letters_ms": settings.dead_letters_s * 1000,
        "attempts": settings.attempts,
        "attempts_ms": settings.attempts_s * 1000,
        "sink_failure_ms": settings.sink_failure_s * 1000,
        "sink_validation_ms": settings.sink_validation_s * 1000,
        "watermark": settings.store_watermark,
        "channel_length": settings.channel_length,
        "channel_bytes": settings.channel_bytes,
        "channel_age_ms": settings.channel_age_s * 1000,
        "channels_url": settings.channels_url or "",
    }
