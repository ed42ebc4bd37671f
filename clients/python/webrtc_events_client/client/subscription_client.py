"""The clients of an application under the contract 0.2: `Client` for threads, `AsyncClient` for asyncio."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from webrtc_events_client.client.closing import AsyncClosing, Closing
from webrtc_events_client.client.drivers import AsyncDriver, Driver
from webrtc_events_client.client.options import Options, checked_base_url
from webrtc_events_client.client.subscription_calls import SubscriptionCalls, create_once
from webrtc_events_client.client.tokens import TokenSource, token_source
from webrtc_events_client.subscriptions import Subscription, SubscriptionRequest

__all__ = ["AsyncClient", "Client"]


class Client(Closing):
    """Threads may share one. Use it in a `with`, or `close` it.

    Args:
        base_url: where the service is, with any prefix: what stands before `/webrtc-events/v0.2`.
        token: an access token, a function that returns one, or a `TokenSource` such as `ClientCredentials`.
        options: times, retries, TLS.

    Every method raises `ClientError`: see `errors`.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str] | TokenSource,
        *,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        self._calls = SubscriptionCalls(checked_base_url(base_url))
        self._driver = Driver(self._options, token_source(token))

    def create(
        self,
        request: SubscriptionRequest,
        *,
        idempotency_key: str | None = None,
        correlator: str | None = None,
    ) -> Subscription:
        """Makes a subscription.

        The contract has no way to repeat a create: the same request twice makes two subscriptions. So this
        raises `AnswerLost`, or a `ServerError`, when the service may have made it, and does not try again.
        With an `idempotency_key` it does, and returns the subscription with that key if there is one: see
        `create_once`.
        """
        calls = self._calls.correlated(correlator)
        if idempotency_key is None:
            return self._driver.perform(calls.create(request))
        return self._driver.run(create_once(calls, request, idempotency_key, self._options.context()))

    def get(self, subscription_id: str, *, correlator: str | None = None) -> Subscription:
        return self._driver.perform(self._calls.correlated(correlator).get(subscription_id))

    def list(self, *, correlator: str | None = None) -> list[Subscription]:
        """All subscriptions of this client, ended ones too while the service keeps them."""
        return self._driver.perform(self._calls.correlated(correlator).list())

    def iterate(self, *, correlator: str | None = None) -> Iterator[Subscription]:
        """The same, one after the other; each is parsed when it is asked for. 0.2 has no pages."""
        yield from self._driver.perform(self._calls.correlated(correlator).each())

    def delete(self, subscription_id: str, *, correlator: str | None = None) -> None:
        """Ends the subscription. If an answer was lost and the next one is 404, it is deleted."""
        self._driver.perform(self._calls.correlated(correlator).delete(subscription_id))


class AsyncClient(AsyncClosing):
    """See `Client`. `token` may be an async function too."""

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str | Awaitable[str]] | TokenSource,
        *,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        self._calls = SubscriptionCalls(checked_base_url(base_url))
        self._driver = AsyncDriver(self._options, token_source(token))

    async def create(
        self,
        request: SubscriptionRequest,
        *,
        idempotency_key: str | None = None,
        correlator: str | None = None,
    ) -> Subscription:
        calls = self._calls.correlated(correlator)
        if idempotency_key is None:
            return await self._driver.perform(calls.create(request))
        return await self._driver.run(create_once(calls, request, idempotency_key, self._options.context()))

    async def get(self, subscription_id: str, *, correlator: str | None = None) -> Subscription:
        return await self._driver.perform(self._calls.correlated(correlator).get(subscription_id))

    async def list(self, *, correlator: str | None = None) -> list[Subscription]:
        return await self._driver.perform(self._calls.correlated(correlator).list())

    async def iterate(self, *, correlator: str | None = None) -> AsyncIterator[Subscription]:
        for subscription in await self._driver.perform(self._calls.correlated(correlator).each()):
            yield subscription

    async def delete(self, subscription_id: str, *, correlator: str | None = None) -> None:
        await self._driver.perform(self._calls.correlated(correlator).delete(subscription_id))
