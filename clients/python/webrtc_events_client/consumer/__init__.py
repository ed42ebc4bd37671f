"""Receives notifications: verified, typed, each once, with those that are out of order marked."""

from webrtc_events_client.consumer.errors import Gone, ReceiveError, Refuse, TryLater
from webrtc_events_client.consumer.in_memory import InMemory
from webrtc_events_client.consumer.key_cache import KeyRules
from webrtc_events_client.consumer.keys import AsyncKeySet, KeySet
from webrtc_events_client.consumer.memory import AsyncMemory, Claim, ClaimState, Event, Memory
from webrtc_events_client.consumer.messages import Response
from webrtc_events_client.consumer.parsing import parse_notification
from webrtc_events_client.consumer.receiver import AsyncReceiver, Receiver
from webrtc_events_client.consumer.reception import Delivery, ReceiverSettings
from webrtc_events_client.consumer.sqlite_memory import SqliteMemory
from webrtc_events_client.consumer.tokens import BearerTokens

__all__ = [
    "AsyncKeySet",
    "AsyncMemory",
    "AsyncReceiver",
    "BearerTokens",
    "Claim",
    "ClaimState",
    "Delivery",
    "Event",
    "Gone",
    "InMemory",
    "KeyRules",
    "KeySet",
    "Memory",
    "ReceiveError",
    "Receiver",
    "ReceiverSettings",
    "Refuse",
    "Response",
    "SqliteMemory",
    "TryLater",
    "parse_notification",
]
