"""Checks the settings, and gives those that can be used although others cannot."""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from webrtc_events.cli.doctor.certificates import expiry_finding
from webrtc_events.cli.doctor.findings import Area, Finding, error, fine
from webrtc_events.core.clock import Clock
from webrtc_events.core.setting_sources import PREFIX, Origin, SettingText, SettingTexts
from webrtc_events.core.settings import Settings, SettingsError, given_texts

__all__ = ["ISSUER", "STORE", "UsableSettings"]

STORE: Final = "redis_url"
ISSUER: Final = "openid_configuration_url"
_KEY: Final = "secret_key"
# In place of one that is missing or wrong, so that the others can be read; what needs it is not checked.
_IN_PLACE: Final = {ISSUER: "https://issuer.invalid/", STORE: "redis://127.0.0.1:1/0"}


class UsableSettings:
    """`settings` None: none can be used. `wrong`: names of those that were left out."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._clock = clock
        self.faults: list[str] = []
        self.settings: Settings | None = None
        given, faults = given_texts(environ)
        try:
            self.settings = Settings.from_texts(given, faults)
        except SettingsError as found:
            self.faults = found.faults
        self.wrong = {setting.name for setting in fields(Settings) if self._is_named(setting.name)}
        if self.settings is None:
            self.settings = self._rest(given)

    def _is_named(self, name: str) -> bool:
        """Whether a fault is about the setting, which it may call by its variable, file or name in a file."""
        named = re.compile(rf"(?<![a-z0-9_])({PREFIX.lower()})?{name}(_file)?(?![a-z0-9_])")
        return any(named.search(fault.lower()) for fault in self.faults)

    def _rest(self, given: SettingTexts) -> Settings | None:
        usable = {name: text for name, text in given.items() if name not in self.wrong}
        for name in self.wrong & {*_IN_PLACE, _KEY}:
            text = _IN_PLACE.get(name) or secrets.token_urlsafe(32)
            usable[name] = SettingText(text, Origin.DEFAULT, "default", name)
        try:
            return Settings.from_texts(usable)
        except SettingsError:
            return None

    def findings(self) -> Iterator[Finding]:
        for fault in self.faults:
            action = "Set it right for API, worker and console; docs/settings.md has them all."
            yield error(Area.SETTINGS, fault, action)
        if not self.faults:
            yield fine(Area.SETTINGS, "every setting can be read")
        if self.settings is not None and self.settings.sink_client_certificates:
            yield from _client_certificates(self.settings, self._clock)
        if self.settings is not None:
            yield from _tracing(self.settings)


def _tracing(settings: Settings) -> Iterator[Finding]:
    from webrtc_events.telemetry.trace_start import check_tracing

    try:
        check_tracing(settings)
    except SettingsError as found:
        for fault in found.faults:
            yield error(Area.SETTINGS, fault, "No API and no worker starts before.")


def _client_certificates(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Of a worker: their files are read when it starts."""
    from webrtc_events.sinks.client_certificates import CertificateError, ClientCertificates

    try:
        found = ClientCertificates(settings.sink_client_certificates, clock).expiries()
    except CertificateError as fault:
        action = "No worker starts before; its user has to be able to read them, too."
        yield error(Area.SETTINGS, f"{PREFIX}SINK_CLIENT_CERTIFICATES: {fault}", action)
        return
    for expiry in found:
        until = datetime.fromtimestamp(clock.now() + expiry.left_s, UTC)
        whose = f"the certificate in {expiry.name}, which sinks are shown,"
        yield expiry_finding(Area.SETTINGS, whose, until, clock)
