"""The clients of an application under the contract 0.3: subscriptions to the events of devices."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from webrtc_events_client.client.closing import AsyncClosing, Closing
from webrtc_events_client.client.drivers import AsyncDriver, Driver
from webrtc_events_client.client.options import Options, checked_base_url
from webrtc_events_client.client.subscription_calls import (
    MAX_PER_PAGE,
    DeviceCalls,
    create_device_once,
    is_last,
    read_all,
)
from webrtc_events_client.client.tokens import TokenSource, token_source
from webrtc_events_client.device_subscriptions import (
    DeviceSubscription,
    DeviceSubscriptionPage,
    DeviceSubscriptionRequest,
    DeviceSubscriptionUpdate,
)

__all__ = ["AsyncDeviceClient", "DeviceClient"]


class DeviceClient(Closing):
    """Threads may share one. Use it in a `with`, or `close` it.

    Args:
        base_url: where the service is, with any prefix: what stands before `/webrtc-events-subscriptions`.
        token: an access token, a function that returns one, or a `TokenSource` such as `ClientCredentials`.
            Its scopes are those of 0.3: `webrtc-events-subscriptions:...`.
        options: times, retries, TLS.

    Every method raises `ClientError`: see `errors`. Subscriptions of 0.2 are not seen here, nor these there.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str] | TokenSource,
        *,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        self._calls = DeviceCalls(checked_base_url(base_url))
        self._driver = Driver(self._options, token_source(token))

    def create(
        self,
        request: DeviceSubscriptionRequest,
        *,
        idempotency_key: str | None = None,
        correlator: str | None = None,
    ) -> DeviceSubscription:
        """Makes a subscription. See `Client.create` about repeating it, and `idempotency_key`."""
        calls = self._calls.correlated(correlator)
        if idempotency_key is None:
            return self._driver.perform(calls.create(request))
        return self._driver.run(create_device_once(calls, request, idempotency_key, self._options.context()))

    def get(self, subscription_id: str, *, correlator: str | None = None) -> DeviceSubscription:
        return self._driver.perform(self._calls.correlated(correlator).get(subscription_id))

    def page(
        self, number: int = 1, *, per_page: int = MAX_PER_PAGE, correlator: str | None = None
    ) -> DeviceSubscriptionPage:
        """A page of the list; `number` counts from 1, `per_page` is 100 at most."""
        return self._driver.perform(self._calls.correlated(correlator).page(number, per_page))

    def list(self, *, correlator: str | None = None) -> list[DeviceSubscription]:
        """All subscriptions of this client, ended ones too while the service keeps them; page by page."""
        return self._driver.run(read_all(self._calls.correlated(correlator), self._options.context()))

    def iterate(
        self, *, per_page: int = MAX_PER_PAGE, correlator: str | None = None
    ) -> Iterator[DeviceSubscription]:
        """The same, one after the other; a page is read when it is needed.

        No subscription comes twice. One that is made or removed meanwhile may move another to a page that was
        read already.
        """
        calls = self._calls.correlated(correlator)
        seen, known = 0, set[str]()
        for number in itertools.count(1):
            page = self._driver.perform(calls.page(number, per_page))
            yield from _unknown(page, known)
            seen += len(page.subscriptions)
            if is_last(page, seen):
                return

    def update(
        self, subscription_id: str, update: DeviceSubscriptionUpdate, *, correlator: str | None = None
    ) -> DeviceSubscription:
        """Renews the expiry, the sink's credential, or both."""
        return self._driver.perform(self._calls.correlated(correlator).update(subscription_id, update))

    def delete(self, subscription_id: str, *, correlator: str | None = None) -> None:
        """Ends the subscription. If an answer was lost and the next one is 404, it is deleted."""
        self._driver.perform(self._calls.correlated(correlator).delete(subscription_id))


class AsyncDeviceClient(AsyncClosing):
    """See `DeviceClient`. `token` may be an async function too."""

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str | Awaitable[str]] | TokenSource,
        *,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        self._calls = DeviceCalls(checked_base_url(base_url))
        self._driver = AsyncDriver(self._options, token_source(token))

    async def create(
        self,
        request: DeviceSubscriptionRequest,
        *,
        idempotency_key: str | None = None,
        correlator: str | None = None,
    ) -> DeviceSubscription:
        calls = self._calls.correlated(correlator)
        if idempotency_key is None:
            return await self._driver.perform(calls.create(request))
        flow = create_device_once(calls, request, idempotency_key, self._options.context())
        return await self._driver.run(flow)

    async def get(self, subscription_id: str, *, correlator: str | None = None) -> DeviceSubscription:
        return await self._driver.perform(self._calls.correlated(correlator).get(subscription_id))

    async def page(
        self, number: int = 1, *, per_page: int = MAX_PER_PAGE, correlator: str | None = None
    ) -> DeviceSubscriptionPage:
        return await self._driver.perform(self._calls.correlated(correlator).page(number, per_page))

    async def list(self, *, correlator: str | None = None) -> list[DeviceSubscription]:
        return await self._driver.run(read_all(self._calls.correlated(correlator), self._options.context()))

    async def iterate(
        self, *, per_page: int = MAX_PER_PAGE, correlator: str | None = None
    ) -> AsyncIterator[DeviceSubscription]:
        calls = self._calls.correlated(correlator)
        seen, known = 0, set[str]()
        for number in itertools.count(1):
            page = await self._driver.perform(calls.page(number, per_page))
            for subscription in _unknown(page, known):
                yield subscription
            seen += len(page.subscriptions)
            if is_last(page, seen):
                return

    async def update(
        self, subscription_id: str, update: DeviceSubscriptionUpdate, *, correlator: str | None = None
    ) -> DeviceSubscription:
        return await self._driver.perform(self._calls.correlated(correlator).update(subscription_id, update))

    async def delete(self, subscription_id: str, *, correlator: str | None = None) -> None:
        await self._driver.perform(self._calls.correlated(correlator).delete(subscription_id))


def _unknown(page: DeviceSubscriptionPage, known: set[str]) -> Iterator[DeviceSubscription]:
    """Those that were on no page before."""
    for subscription in page.subscriptions:
        if subscription.id not in known:
            known.add(subscription.id)
            yield subscription
