"""The sink credential PRIVATE_KEY_JWT: parsed from a request, and shown again without what names its owner.

Source: webrtc-events-subscriptions.yaml, PrivateKeyJWTCredential and ShownSinkCredential.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from webrtc_events.contract.webrtc_events_subscriptions_types import ShownSinkCredential
from webrtc_events.core.errors import InvalidArgument, Unprocessable
from webrtc_events.core.model import ListedSubscription, PrivateKeyJwt, Subscription
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.sink_url import check_sink_url

__all__ = ["PRIVATE_KEY_JWT", "private_key_jwt", "shown_sink_credential"]

PRIVATE_KEY_JWT: Final = "PRIVATE_KEY_JWT"

# Source: RFC 6749, A.1.
_CLIENT_ID: Final = re.compile(r"[\x20-\x7e]{1,128}", re.ASCII)


def private_key_jwt(given: Mapping[str, Any], policy: AddressPolicy, jwks_uri: str | None) -> PrivateKeyJwt:
    """The credential of a request that is valid by the contract.

    `policy` decides where token servers may be, as it does of sinks. `jwks_uri`: where the operator publishes
    its keys; None: it has none.

    Raises:
        Unprocessable: the operator has no keys.
        InvalidArgument: what the contract cannot say.
    """
    if jwks_uri is None:
        raise Unprocessable(
            "$.sinkCredential: this operator has set up no keys for PRIVATE_KEY_JWT; give an ACCESSTOKEN.",
            code="PRIVATE_KEY_JWT_NOT_CONFIGURED",
        )
    if "jwksUri" in given:
        raise InvalidArgument("$.sinkCredential.jwksUri: is for the service to say; leave it out")
    if not _CLIENT_ID.fullmatch(given["clientId"]):
        raise InvalidArgument("$.sinkCredential.clientId: 1 to 128 characters of visible ASCII and spaces")
    try:
        token_uri = check_sink_url(given["tokenUri"], policy)
    except ValueError as error:
        # The same rules, and its words are of sinks.
        fault = str(error).removeprefix("sink ")
        raise InvalidArgument(f"$.sinkCredential.tokenUri: {fault}", code="INVALID_CREDENTIAL") from None
    return PrivateKeyJwt(given["clientId"], token_uri)


def shown_sink_credential(
    subscription: Subscription | ListedSubscription, jwks_uri: str | None
) -> ShownSinkCredential | None:
    """None: nothing is shown of it. An operator that has taken its keys back has nothing to show."""
    if not subscription.fetches_token or jwks_uri is None:
        return None
    return {"credentialType": PRIVATE_KEY_JWT, "jwksUri": jwks_uri}
