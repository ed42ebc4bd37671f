"""Checks the settings, and gives those that can be used although others cannot."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Final

from webrtc_events.cli.doctor.findings import Area, Finding, error, fine
from webrtc_events.core.settings import PREFIX, Settings, SettingsError

__all__ = ["ISSUER", "STORE", "UsableSettings"]

STORE: Final = f"{PREFIX}REDIS_URL"
ISSUER: Final = f"{PREFIX}OPENID_CONFIGURATION_URL"
_KEY: Final = f"{PREFIX}SECRET_KEY"
# In place of one that is missing or wrong, so that the others can be read; what needs it is not checked.
_IN_PLACE: Final = {ISSUER: "https://issuer.invalid/", STORE: "redis://127.0.0.1:1/0"}


class UsableSettings:
    """`settings` None: none can be used. `wrong`: names of those that were left out."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.faults: list[str] = []
        self.settings: Settings | None = None
        try:
            self.settings = Settings.from_environ(environ)
        except SettingsError as found:
            self.faults = found.faults
        self.wrong = {fault.partition(" ")[0] for fault in self.faults}
        if self.settings is None:
            self.settings = self._rest(environ)

    def _rest(self, environ: Mapping[str, str]) -> Settings | None:
        usable = {name: value for name, value in environ.items() if name not in self.wrong}
        for name in self.wrong & _IN_PLACE.keys():
            usable[name] = _IN_PLACE[name]
        if _KEY in self.wrong:
            usable[_KEY] = secrets.token_urlsafe(32)
        try:
            return Settings.from_environ(usable)
        except SettingsError:
            return None

    def findings(self) -> Iterator[Finding]:
        for fault in self.faults:
            action = (
                "Set it right in the environment of API, worker and console; docs/settings.md has them all."
            )
            yield error(Area.SETTINGS, fault, action)
        if not self.faults:
            yield fine(Area.SETTINGS, "every setting can be read")
