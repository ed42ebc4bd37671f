"""What the contract asks for in prose, and what is excluded: generated requests are made to follow it.

A schema cannot say that a moment lies in the future, or that a host is one which the service may
send to, so some requests that are valid by the schema are refused for good reason. To expect such
refusals would hide wrong ones. The requests are mended instead, before they are sent, and only
values that are valid by their own schema are touched: what Schemathesis broke stays broken.
"""

import copy
import re
from collections.abc import Callable, Set
from itertools import cycle
from typing import Any

from schemathesis import Case

from webrtc_events.contract.openapi import Contract

__all__ = ["Rules"]

_STATUS = "org.camaraproject.webrtc-events.v0.session-status"
_ENDS = "org.camaraproject.webrtc-events.v0.registration-ends"
_DECLARED_BY_0_3 = {
    "": {"protocol", "sink", "sinkCredential", "types", "config", "protocolSettings"},
    "config": {"subscriptionDetail", "subscriptionExpireTime", "subscriptionMaxEvents", "initialEvent"},
    "config.subscriptionDetail": {"deviceId"},
    "protocolSettings": {"headers", "method"},
}
"""The members of a create, by where they are. The schemas leave others open; the prose refuses them."""
_CREDENTIALS_OF_0_3 = {
    "ACCESSTOKEN": {"credentialType", "accessToken", "accessTokenExpiresUtc", "accessTokenType"},
    "PRIVATE_KEY_JWT": {"credentialType", "clientId", "tokenUri"},
}
# A leap year, so that every date that is valid stays valid.
_FUTURE_YEAR = "2996"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Rules:
    """Mends requests.

    `sink` is the base URL of a sink that the service may send to, at any path; `subscribe` makes
    a subscription and returns its id, `make_channel` a channel.
    """

    def __init__(
        self, contract: Contract, sink: str, subscribe: Callable[[], str], make_channel: Callable[[], str]
    ) -> None:
        self._contract = contract
        self._sink = sink
        self._subscribe = subscribe
        self._make_channel = make_channel
        self._ids = {
            f"{operation.method} {operation.path}": operation.id for operation in contract.operations.values()
        }
        self._bodies = {
            "createNotificationChannelSubscription": self._subscription,
            "updateNotificationChannelSubscription": self._update,
            "publishEvents": self._event,
        }
        self._on_existing = cycle((True, False))
        self._of_devices = "webrtc-events-subscriptions" in contract.base_path

    def mend(self, case: "Case[Any]") -> None:
        """Replaces what a rule changes; Schemathesis then checks it anew."""
        operation_id = self._ids[case.operation.label]
        mend = self._bodies.get(operation_id)
        if mend is not None and isinstance(case.body, dict):
            body = copy.deepcopy(case.body)
            mend(body)
            if body != case.body:
                case.body = body
        on_what_is_there = ("endSubscription", "updateNotificationChannelSubscription")
        if operation_id in on_what_is_there and next(self._on_existing):
            # A generated id is nobody's; every other request is on what is not there.
            case.path_parameters = {"subscriptionId": self._subscribe()}
        if operation_id in ("retrieveChannel", "deleteChannel") and next(self._on_existing):
            case.path_parameters = {"channelId": self._make_channel()}

    def _subscription(self, body: dict[str, Any]) -> None:
        if self._of_devices:
            for path, declared in _DECLARED_BY_0_3.items():
                _leave(declared, body, path)
        # Which addresses are allowed: tests/sinks/test_addresses.py.
        if self._is_valid(body, "sink", "SubscriptionRequest"):
            body["sink"] = f"{self._sink}/{_plain(body['sink'])}"
        config, credential, settings = (
            body[name] if isinstance(body.get(name), dict) else {}
            for name in ("config", "sinkCredential", "protocolSettings")
        )
        if self._is_valid(config, "subscriptionExpireTime", "Config"):
            config["subscriptionExpireTime"] = _in_future(config["subscriptionExpireTime"])
        self._credential(credential)
        if isinstance(config.get("subscriptionDetail"), dict) and not self._of_devices:
            detail = config["subscriptionDetail"]
            # Like the gateway side's names: without control characters, the registration's not empty.
            for name in ("registrationId", "sessionId", "mediaSessionId"):
                if isinstance(detail.get(name), str):
                    detail[name] = _CONTROLS.sub("x", detail[name])
            if detail.get("registrationId") == "":
                detail["registrationId"] = "r1"
            if body.get("types") == [_STATUS]:
                _name_session(detail)
        if self._is_valid(settings, "headers", "HTTPSettings"):
            # Names that HTTP and the service leave free, values that HTTP can carry.
            values = settings["headers"].values()
            settings["headers"] = {f"x-{number}": _plain(value) for number, value in enumerate(values)}

    def _update(self, body: dict[str, Any]) -> None:
        config, credential = (
            body[name] if isinstance(body.get(name), dict) else {} for name in ("config", "sinkCredential")
        )
        if self._is_valid(config, "subscriptionExpireTime", "SubscriptionUpdateConfig"):
            config["subscriptionExpireTime"] = _in_future(config["subscriptionExpireTime"])
        self._credential(credential)

    def _credential(self, credential: dict[str, Any]) -> None:
        if self._of_devices and (declared := _CREDENTIALS_OF_0_3.get(str(credential.get("credentialType")))):
            _leave(declared, credential)
        if self._is_valid(credential, "accessTokenExpiresUtc", "AccessTokenCredential"):
            credential["accessTokenExpiresUtc"] = _in_future(credential["accessTokenExpiresUtc"])
        if self._is_valid(credential, "accessToken", "AccessTokenCredential"):
            # RFC 6750, 2.1, says what a bearer token is written with.
            credential["accessToken"] = _plain(credential["accessToken"])
        if self._of_devices and self._is_valid(credential, "clientId", "PrivateKeyJWTCredential"):
            # RFC 6749, appendix A.1.
            credential["clientId"] = _plain(credential["clientId"])
        if self._of_devices and self._is_valid(credential, "tokenUri", "PrivateKeyJWTCredential"):
            # An allowed address where nobody listens: the sink is held to get notifications alone.
            credential["tokenUri"] = f"https://localhost:1025/{_plain(credential['tokenUri'])}"

    def _event(self, body: dict[str, Any]) -> None:
        """The subject of registration-ends, if there is one, is the registration that ended."""
        data = body.get("data")
        if body.get("type") != _ENDS or not isinstance(data, dict):
            return
        if self._is_valid(body, "subject", "NetworkEvent") and self._is_valid(
            data, "registrationId", "NetworkRegistrationEndsData"
        ):
            body["subject"] = data["registrationId"]

    def _is_valid(self, part: dict[str, Any], name: str, schema: str) -> bool:
        definition = self._contract.document["components"]["schemas"][schema]
        own = definition if "properties" in definition else definition["allOf"][1]
        return name in part and self._contract.validator_for(own["properties"][name]).is_valid(part[name])


def _name_session(detail: dict[str, Any]) -> None:
    """session-status needs the session. It has two names, of which one is enough, with one value."""
    if "sessionId" not in detail and not isinstance(detail.get("mediaSessionId"), str):
        detail["mediaSessionId"] = "m1"
    names = [name for name in ("sessionId", "mediaSessionId") if isinstance(detail.get(name), str)]
    detail.update(dict.fromkeys(names, detail[names[0]] or "m1") if names else {})


def _leave(declared: Set[str], body: dict[str, Any], path: str = "") -> None:
    """Takes what is not declared from the object at that path, if there is one."""
    found: Any = body
    for name in filter(None, path.split(".")):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, dict):
        for name in found.keys() - declared:
            del found[name]


def _in_future(moment: str) -> str:
    return _FUTURE_YEAR + moment[4:]


def _plain(text: str) -> str:
    """Letters and digits in place of whatever it was, one at least."""
    return re.sub(r"[^a-z0-9]", "x", text.lower())[:64] or "x"
