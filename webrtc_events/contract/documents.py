"""Reads the documents in `spec/`, with the departures of errata.yaml applied."""

from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

import yaml

from webrtc_events.contract.openapi import Contract
from webrtc_events.contract.overlay import apply_overlay

__all__ = [
    "load_channels",
    "load_network",
    "load_operator",
    "load_public",
    "load_subscriptions",
    "read_document",
]


def load_public(*, strict_cloudevents: bool = False, by_client: bool = False) -> Contract:
    """The API of the subscribers, webrtc-events.yaml.

    `strict_cloudevents` applies the departures of errata.yaml that say so. `by_client`: the reference
    says that some clients get that form, though this document does not describe it.
    """
    document = _load("webrtc-events.yaml")
    if strict_cloudevents:
        document = apply_overlay(document, _departures("strict-cloudevents"))
    documented = _departures("always-documented")
    if by_client:
        documented += _departures("strict-cloudevents-by-client")
    # Departure 5: two types are answered 422.
    return Contract(document, apply_overlay(document, documented), left_to_use_case=[("$.types", "maxItems")])


def load_subscriptions() -> Contract:
    """The API of the subscribers in CAMARA's next release, webrtc-events-subscriptions.yaml.

    The document is whole: errata-subscriptions.yaml, which says where it departs from CAMARA's, changes
    nothing here.
    """
    return Contract(_load("webrtc-events-subscriptions.yaml"), strict_bodies=True)


def load_network() -> Contract:
    """The API of the gateways, network-events.yaml."""
    return Contract(_load("network-events.yaml"))


def load_channels() -> Contract:
    """The API of notification channels, channels.yaml."""
    return Contract(_load("channels.yaml"))


def load_operator() -> Contract:
    """What is sent to the operator's own sink, operator-events.yaml. It has schemas, and no operations."""
    return Contract(_load("operator-events.yaml"))


def _departures(when: str) -> list[dict[str, Any]]:
    """The actions of errata.yaml that apply then."""
    return [action for action in _load("errata.yaml")["actions"] if action["x-applies"] == when]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Leaves timestamps as the strings that JSON has for them."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_document(text: str) -> Any:
    """What a YAML or JSON text holds; timestamps stay strings.

    Raises:
        yaml.YAMLError: it is neither.
    """
    return yaml.load(text, _Loader)  # noqa: S506 (a safe loader)


@cache
def _load(name: str) -> dict[str, Any]:
    """Read once, as contracts of several forms are made of it, and YAML takes long. Nobody changes it."""
    document: dict[str, Any] = read_document((files("webrtc_events") / "spec" / name).read_text("utf-8"))
    return document
