"""Settings as they are shown: what each is, where it stands, and no secret."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, fields
from typing import Any, Final

from webrtc_events.core.setting_fields import variable_of
from webrtc_events.core.setting_sources import SettingText, SettingTexts
from webrtc_events.core.settings import Settings, parsed, whole_texts
from webrtc_events.core.url_credentials import without_credentials

__all__ = ["ShownSetting", "shown_settings"]

# Names in the query of REDIS_URL, see store_url.py.
_SHOWN_IN_QUERY: Final = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_NAMED_IN_QUERY: Final = frozenset({"sentinel_username", "sentinel_password"})
_SET, _NOT_SET, _NOT_VALID = "set", "not set", "not valid"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """`name` is that of the environment variable, `source` an `Origin`'s value, `place` where it stands."""

    name: str
    value: str
    source: str
    place: str


def shown_settings(given: SettingTexts) -> Iterator[ShownSetting]:
    """Every setting, in the order of the code; those of the parts of `Settings` come last."""
    texts = whole_texts(given)
    for setting in sorted(fields(Settings), key=_part):
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
    return without_credentials(text.text, _SHOWN_IN_QUERY, _NAMED_IN_QUERY)


def _part(setting: "Field[Any]") -> int:
    """Which part of `Settings` declares it: 0 is `Settings` itself."""
    parts = Settings.__mro__
    return next(number for number, part in enumerate(parts) if setting.name in part.__annotations__)
