"""The clients of a gateway: `NetworkClient` for threads, `AsyncNetworkClient` for asyncio."""

from collections.abc import Awaitable, Callable, Iterable

from webrtc_events_client.client.closing import AsyncClosing, Closing
from webrtc_events_client.client.drivers import AsyncDriver, Driver
from webrtc_events_client.client.network_calls import NetworkCalls, publish_all
from webrtc_events_client.client.options import Options, checked_base_url
from webrtc_events_client.client.tokens import TokenSource, token_source
from webrtc_events_client.network_events import EventResult, NetworkEvent, Registration

__all__ = ["AsyncNetworkClient", "NetworkClient"]


class NetworkClient(Closing):
    """Threads may share one. Use it in a `with`, or `close` it. Every call is repeated where that may help:
    nothing is doubled.

    Args:
        base_url: where the service is, with any prefix: what stands before `/network/v0`.
        token: an access token with the scope `webrtc-events:network`, a function that returns one, or a
            `TokenSource`.
        options: times, retries, TLS.

    Every method raises `ClientError`: see `errors`.
    """

    def __init__(
        self, base_url: str, token: str | Callable[[], str] | TokenSource, *, options: Options | None = None
    ) -> None:
        self._options = options or Options()
        self._calls = NetworkCalls(checked_base_url(base_url))
        self._driver = Driver(self._options, token_source(token))

    def publish(self, event: NetworkEvent) -> EventResult:
        """Returns when every matching subscription has the event. One that is not valid raises
        `InvalidArgument`.
        """
        return self._driver.perform(self._calls.publish(event))

    def publish_batch(self, events: Iterable[NetworkEvent]) -> list[EventResult]:
        """Any number, in order; one that is not valid is `rejected` in its result, and stops no other. See
        `publish_all`.
        """
        return self._driver.run(publish_all(self._calls, events, self._options.context()))

    def put_registration(self, registration_id: str, registration: Registration) -> None:
        """Makes the registration known, or replaces what is known of it."""
        self._driver.perform(self._calls.put_registration(registration_id, registration))

    def delete_registration(self, registration_id: str) -> None:
        """Forgets it; no subscriber is notified."""
        self._driver.perform(self._calls.delete_registration(registration_id))

    def end_subscription(self, subscription_id: str) -> None:
        """Ends any client's subscription, with NETWORK_TERMINATED."""
        self._driver.perform(self._calls.end_subscription(subscription_id))


class AsyncNetworkClient(AsyncClosing):
    """See `NetworkClient`. `token` may be an async function too."""

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str | Awaitable[str]] | TokenSource,
        *,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        self._calls = NetworkCalls(checked_base_url(base_url))
        self._driver = AsyncDriver(self._options, token_source(token))

    async def publish(self, event: NetworkEvent) -> EventResult:
        return await self._driver.perform(self._calls.publish(event))

    async def publish_batch(self, events: Iterable[NetworkEvent]) -> list[EventResult]:
        return await self._driver.run(publish_all(self._calls, events, self._options.context()))

    async def put_registration(self, registration_id: str, registration: Registration) -> None:
        await self._driver.perform(self._calls.put_registration(registration_id, registration))

    async def delete_registration(self, registration_id: str) -> None:
        await self._driver.perform(self._calls.delete_registration(registration_id))

    async def end_subscription(self, subscription_id: str) -> None:
        await self._driver.perform(self._calls.end_subscription(subscription_id))
