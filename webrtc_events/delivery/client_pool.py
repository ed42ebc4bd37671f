"""Room for a number of things, which clients share. Pure."""

from webrtc_events.delivery.shares import Account, Pool

__all__ = ["ClientPool"]


class ClientPool:
    """Each client may have four times what it leaves to others; the last is for those that have little."""

    def __init__(self, size: int) -> None:
        self._pool = Pool(size)
        self._accounts: dict[str, Account] = {}

    def may_have(self, client: str) -> bool:
        """Whether that client may have one more."""
        account = self._accounts.get(client)
        return self._pool.may_have(Account() if account is None else account, prompt=True)

    def take(self, client: str) -> None:
        self._pool.take(self._accounts.setdefault(client, Account()), prompt=True)

    def give(self, client: str) -> None:
        account = self._accounts[client]
        self._pool.give(account, prompt=True)
        if not account.used:
            del self._accounts[client]
