"""What each client has of a dispatcher: permits, and what waits. Pure."""

from webrtc_events.delivery.shares import Account

__all__ = ["ClientAccount", "ClientAccounts"]


class ClientAccount:
    """What one client has in flight and waiting."""

    __slots__ = ("permits", "waiting")

    def __init__(self) -> None:
        self.permits = Account()
        self.waiting = Account()

    @property
    def idle(self) -> bool:
        return not self.permits.used and not self.waiting.used


class ClientAccounts:
    """By client. Once there are `max_count`, those that are idle are forgotten."""

    def __init__(self, max_count: int) -> None:
        self._max_count = max_count
        self._accounts: dict[str, ClientAccount] = {}

    def get(self, client: str) -> ClientAccount:
        """The client's account, a new one if it has none."""
        account = self._accounts.get(client)
        if account is None:
            if len(self._accounts) >= self._max_count:
                self._accounts = {name: known for name, known in self._accounts.items() if not known.idle}
            account = self._accounts[client] = ClientAccount()
        return account
