"""Settings as they are shown: what each is, where it stands, and no secret."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from webrtc_events.core.setting_fields import variable_of
from webrtc_events.core.setting_sources import SettingText, SettingTexts
from webrtc_events.core.settings import Settings, parsed, whole_texts
from webrtc_events.core.trace_settings import TraceSettings
from webrtc_events.core.url_credentials import without_credentials

__all__ = ["ShownSetting", "shown_settings"]

# Names in the query of REDIS_URL, see store_url.py.
_SHOWN_IN_QUERY: Final = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_SET, _NOT_SET, _NOT_VALID = "set", "not set", "not valid"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """`name` is that of the environment variable, `source` an `Origin`'s value, `place` where it stands."""

    name: str
    value: str
    source: str
    place: str


def shown_settings(given: SettingTexts) -> Iterator[ShownSetting]:
    """Every setting, in the order of the code; those of traces come last."""
    texts = whole_texts(given)
    first = len(fields(TraceSettings))
    every = fields(Settings)
    for setting in (*every[first:], *every[:first]):
        name = variable_of(setting.name)
        text = texts.get(setting.name)
        if text is None:
            yield ShownSetting(name, _NOT_SET, "", "")
            continue
        try:
            parsed(setting, text.text)
        except ValueError:
            # Nobody knows what it is.
            value = _NOT_VALID
        else:
            value = _value(text, is_secret=setting.metadata["secret"])
        yield ShownSetting(name, value, text.origin.value, text.place)


def _value(text: SettingText, *, is_secret: bool) -> str:
    if is_secret:
        return _SET if text.text else _NOT_SET
    return without_credentials(text.text, _SHOWN_IN_QUERY)
