"""The settings of tokens that the service fetches for sinks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webrtc_events.core import setting_values as read
from webrtc_events.core.setting_fields import setting as _setting
from webrtc_events.core.setting_sources import SettingText

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TokenSettings", "audiences"]

_AUDIENCE: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,2048}", re.ASCII)


def audiences(raw: str) -> tuple[tuple[str, str], ...]:
    """`token URI=audience` parts, joined by commas; a URI that holds a `=` cannot be named."""
    found = {}
    for part in filter(None, map(str.strip, raw.split(","))):
        uri, equals, audience = part.partition("=")
        if not equals or not _AUDIENCE.fullmatch(audience):
            raise ValueError("must be tokenUri=audience parts joined by commas")
        found[read.https_url(uri)] = audience
    return tuple(found.items())


# Without slots: Python allows one base with slots, and `Settings` has several parts.
@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """A part of `Settings`."""

    token_keys: tuple[read.PrivateKey, ...] = _setting(
        read.signing_keys,
        "",
        "PEM files of private keys: the first authenticates at subscribers' token servers, all are published",
        secret=True,
    )
    token_jwks_uri: str | None = _setting(
        read.https_url, "", "public https URL of the token keys, which ends in /.well-known/client-keys.json"
    )
    token_audiences: tuple[tuple[str, str], ...] = _setting(
        audiences, "", "tokenUri=audience of token servers that want to be named otherwise than by tokenUri"
    )

    def contradictions_of_tokens(
        self, texts: Mapping[str, SettingText], signing_keys: "Sequence[read.PrivateKey]"
    ) -> Iterator[str]:
        """What is wrong with these, each right by itself."""
        keys, uri = texts["token_keys"].named, texts["token_jwks_uri"].named
        if bool(self.token_keys) != (self.token_jwks_uri is not None):
            yield f"{keys} and {uri} must be set together: token servers need the keys"
        published = [key.public_key() for key in signing_keys]
        if any(key.public_key() in published for key in self.token_keys):
            yield f"{keys} names a key of {texts['signing_keys'].named}: each purpose needs keys for itself"
