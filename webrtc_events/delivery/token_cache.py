"""The tokens that a worker has fetched for sinks, and what is known of where they come from. Pure.

A token is kept in memory alone. It is asked for anew some time before it expires, and goes on being used
meanwhile. After a failure nobody asks for a while, which doubles with each failure in a row; all who want the
same token share that. A token that a sink has refused is let go, at most once a minute: one sink that refuses
every token must not cost the others theirs.

Whoever subscribes names the token server and the client id. So a token is kept for one owner of
subscriptions: what a server gives for one of them is never sent to the sink of another.

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from webrtc_events.core.model import PrivateKeyJwt
from webrtc_events.delivery.owner_counts import OwnerCounts

__all__ = ["SinkToken", "TokenCache", "TokenEntry", "TokenKey", "last_use_s"]

T = TypeVar("T")

# Before its expiry, or at half of a short life: asked for anew, and used no more. A claim takes 13 s at most.
_RENEW_S: Final = 60.0
_STOP_S: Final = 15.0
_FIRST_PAUSE_S: Final = 1.0
_MAX_PAUSE_S: Final = 60.0
# A server may ask for a longer one, which is its own loss.
_MAX_ASKED_PAUSE_S: Final = 3600.0
_LAST_GROWTH: Final = 7
_REFUSED_EVERY_S: Final = 60.0
# What an entry takes beside its texts.
_ENTRY_BYTES: Final = 1024


def last_use_s(asked_s: float, life_s: float) -> float:
    """Until when a token is sent that was asked for at `asked_s` and lives `life_s` seconds from then on."""
    return asked_s + life_s - min(_STOP_S, life_s / 4)


class TokenKey(NamedTuple):
    """What shares a token. `client`: the owner of the subscriptions."""

    client: str
    credential: PrivateKeyJwt


@dataclass(frozen=True, slots=True)
class SinkToken:
    """`stop_s`: it is not sent from then on."""

    value: str = field(repr=False)
    key: TokenKey
    stop_s: float

    def at(self, now_s: float) -> str | None:
        """What is sent then; None: it is too late for it."""
        return self.value if now_s < self.stop_s else None


class TokenEntry(Generic[T]):
    """What is known of one token. `asking`: a request for it is under way.

    `leader`: who waits for a permit to ask for it. `waiting`: who waits for it otherwise, in order.
    """

    __slots__ = (
        "_failures",
        "_refused_s",
        "_renew_s",
        "_token",
        "_token_bytes",
        "asking",
        "key",
        "leader",
        "next_s",
        "size",
        "waiting",
    )

    def __init__(self, key: TokenKey) -> None:
        self.key: Final = key
        self.asking = False
        self.leader: T | None = None
        self.waiting: dict[T, None] = {}
        self.next_s = float("-inf")
        self.size = _ENTRY_BYTES + len(key.credential.token_uri) + len(key.credential.client_id)
        self._token: SinkToken | None = None
        self._token_bytes = 0
        self._renew_s = float("-inf")
        self._refused_s = float("-inf")
        self._failures = 0

    @property
    def idle(self) -> bool:
        """Nobody asks for it or waits for it."""
        return not self.asking and self.leader is None and not self.waiting

    @property
    def failures(self) -> int:
        """In a row."""
        return self._failures

    def token(self, now_s: float) -> SinkToken | None:
        """The one that may be sent."""
        token = self._token
        return token if token is not None and now_s < token.stop_s else None

    def is_due(self, task: T, now_s: float) -> bool:
        """Whether `task` is to ask for it now."""
        led = self.asking or (self.leader is not None and self.leader is not task)
        return not led and now_s >= self.next_s and (self.token(now_s) is None or now_s >= self._renew_s)

    def issued(self, value: str, life_s: float, asked_s: float) -> int:
        """A new one, whose life began when it was asked for. Returns how many bytes more it takes."""
        more = len(value) - self._token_bytes
        self._renew_s = asked_s + life_s - min(_RENEW_S, life_s / 2)
        self._token = SinkToken(value, self.key, last_use_s(asked_s, life_s))
        self._failures = 0
        self.next_s = float("-inf")
        self._token_bytes = len(value)
        self.size += more
        return more

    def failed(self, pause_s: float, now_s: float, random: Callable[[], float]) -> None:
        """There was none. `pause_s`: for which the server asked to be left alone. `random`: in [0, 1)."""
        self._failures += 1
        longest_s = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** (min(self._failures, _LAST_GROWTH) - 1))
        drawn_s = longest_s * (0.5 + 0.5 * random())
        self.next_s = now_s + max(drawn_s, min(pause_s, _MAX_ASKED_PAUSE_S))

    def put_off(self, delay_s: float, now_s: float) -> None:
        """It could not be asked for: nobody tries for that long."""
        self.next_s = now_s + delay_s

    def refused(self, token: SinkToken, now_s: float) -> None:
        """A sink did not take the token."""
        if token is self._token and now_s - self._refused_s >= _REFUSED_EVERY_S:
            self._refused_s = now_s
            # Whoever comes next asks for another.
            self._renew_s = float("-inf")
            self._token = None


class TokenCache(Generic[T]):
    """At most `max_count` entries and `max_bytes` in all, but for those that somebody waits for.

    Beyond that the one unused for longest is let go, of the owner who has most: so no owner takes the
    tokens of another. Of owners who have equally many it is the one who used none for longest. Whatever is
    passed over on the way is in use, and takes its place behind the others: so it is not looked at each time.
    """

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._count = self._bytes = 0
        # Of each owner, the one used last at the end.
        self._owners: dict[str, OrderedDict[TokenKey, TokenEntry[T]]] = {}
        self._counts = OwnerCounts()

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes, as far as they are counted."""
        return self._bytes

    def get(self, key: TokenKey) -> TokenEntry[T] | None:
        """What is known, without a use of it."""
        owned = self._owners.get(key.client)
        return None if owned is None else owned.get(key)

    def touch(self, key: TokenKey) -> TokenEntry[T]:
        """The entry, a new one if there is none."""
        owned = self._owners.setdefault(key.client, OrderedDict())
        entry = owned.get(key)
        if entry is not None:
            owned.move_to_end(key)
            self._counts.used(key.client)
            return entry
        entry = owned[key] = TokenEntry(key)
        self._count += 1
        self._counts.add(key.client, 1)
        self.grown(entry.size, but=entry)
        return entry

    def grown(self, size: int, *, but: TokenEntry[T]) -> None:
        """An entry takes that many bytes more; it is not let go for that itself."""
        self._bytes += size
        while (self._count > self._max_count or self._bytes > self._max_bytes) and self._let_go(but):
            pass

    def _let_go(self, but: TokenEntry[T]) -> bool:
        """One of those that nobody waits for; False: there is none."""
        passed: list[str] = []
        for owner in self._counts.most_first():
            entry = _unused(self._owners[owner], but)
            if entry is not None:
                break
            passed.append(owner)
        else:
            return False
        self._counts.used(*passed)
        self._remove(entry)
        return True

    def _remove(self, entry: TokenEntry[T]) -> None:
        owner = entry.key.client
        owned = self._owners[owner]
        del owned[entry.key]
        if not owned:
            del self._owners[owner]
        self._counts.add(owner, -1)
        self._count -= 1
        self._bytes -= entry.size


def _unused(owned: OrderedDict[TokenKey, TokenEntry[T]], but: TokenEntry[T]) -> TokenEntry[T] | None:
    """The one unused for longest; None: all are in use."""
    for _ in range(len(owned)):
        entry = next(iter(owned.values()))
        if entry is not but and entry.idle:
            return entry
        owned.move_to_end(entry.key)
    return None
