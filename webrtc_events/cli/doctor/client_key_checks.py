"""Checks that token servers can find the keys by which this service is their client."""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import requests

from webrtc_events.api.issuer_session import prepare_session
from webrtc_events.cli.doctor.findings import Area, Finding, error, fine, warning
from webrtc_events.console.overview.wording import plural
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.settings import Settings
from webrtc_events.sinks.assertion_keys import assertion_jwk

__all__ = ["check_client_keys", "compare_keys"]

_TIMEOUT_S: Final = (5.0, 10.0)
_MAX_BYTES: Final = 1 << 20


def check_client_keys(settings: Settings, jwks_uri: str) -> Iterator[Finding]:
    """`jwks_uri`: as subscriptions show it. It is asked from here, and others may see it otherwise."""
    try:
        published = _published(jwks_uri, EgressProxy.of(settings))
    except (requests.RequestException, ValueError) as fault:
        text = f"the keys of TOKEN_KEYS cannot be had from {jwks_uri}: {type(fault).__name__}"
        action = (
            "Token servers of subscribers look there. Run `curl` on it from outside: it must lead to the "
            "public API's /.well-known/client-keys.json."
        )
        yield warning(Area.CLIENT_KEYS, text, action)
        return
    yield compare_keys([assertion_jwk(key)["kid"] for key in settings.token_keys], published, jwks_uri)


def compare_keys(known: Sequence[str], published: Collection[str], jwks_uri: str) -> Finding:
    """The ids of the keys that are set, the first of which signs, with those that are found."""
    missing = [kid for kid in known if kid not in published]
    if known[0] in missing:
        text = f"{jwks_uri} lacks the key that signs, {known[0]}"
        return error(Area.CLIENT_KEYS, text, "Restart the API with the same TOKEN_KEYS as the workers.")
    if missing:
        text = f"{jwks_uri} lacks {plural(len(missing), 'key')} of TOKEN_KEYS: {', '.join(missing)}"
        return warning(Area.CLIENT_KEYS, text, "Restart the API before one of them is put in front.")
    return fine(Area.CLIENT_KEYS, f"{jwks_uri} has {plural(len(known), 'key')} of TOKEN_KEYS")


def _published(jwks_uri: str, proxy: EgressProxy | None) -> set[str]:
    """The ids of the keys there.

    Raises:
        requests.RequestException: no answer, or an error.
        ValueError: it is no JWK Set.
    """
    with requests.Session() as session:
        prepare_session(session, proxy)
        with session.get(jwks_uri, timeout=_TIMEOUT_S, stream=True, allow_redirects=False) as answer:
            answer.raise_for_status()
            body = answer.raw.read(_MAX_BYTES, decode_content=True)
    document: Any = json.loads(body)
    try:
        return {str(key["kid"]) for key in document["keys"] if "kid" in key}
    except (KeyError, TypeError):
        raise ValueError("no JWK Set") from None
