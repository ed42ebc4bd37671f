"""Calls the service: subscriptions for applications, events and registrations for gateways."""

from webrtc_events_client.client import errors
from webrtc_events_client.client.device_client import AsyncDeviceClient, DeviceClient
from webrtc_events_client.client.errors import ApiError, ClientError
from webrtc_events_client.client.network_client import AsyncNetworkClient, NetworkClient
from webrtc_events_client.client.options import Options
from webrtc_events_client.client.retry_policy import NO_RETRIES, RetryPolicy
from webrtc_events_client.client.subscription_calls import IDEMPOTENCY_HEADER
from webrtc_events_client.client.subscription_client import AsyncClient, Client
from webrtc_events_client.client.tokens import ClientCredentials, TokenSource

__all__ = [
    "IDEMPOTENCY_HEADER",
    "NO_RETRIES",
    "ApiError",
    "AsyncClient",
    "AsyncDeviceClient",
    "AsyncNetworkClient",
    "Client",
    "ClientCredentials",
    "ClientError",
    "DeviceClient",
    "NetworkClient",
    "Options",
    "RetryPolicy",
    "TokenSource",
    "errors",
]
