"""Between Python and create.lua, update.lua: what they are given of a subscription, and what they return."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from webrtc_events.core.credentials import fetches_token
from webrtc_events.core.model import Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import Partition
from webrtc_events.store.packed_requests import whole
from webrtc_events.store.redis.scripts import Call

__all__ = [
    "CreateOutcome",
    "CreateResult",
    "Leading",
    "SubscriptionLimits",
    "UpdateOutcome",
    "UpdateResult",
    "create_call",
    "create_result",
    "fields_of",
    "record_of",
    "update_call",
    "update_result",
]


class CreateOutcome(StrEnum):
    """CREATED, or why not. Source: lua/create.lua. FULL is raised, as `errors.Unavailable`.

    The quotas say that there are as many subscriptions as there may be: of the client, to the registration,
    or to the session. The session ones may be found out before: lua/join_session.lua. NO_CHANNEL: the channel
    that is to be the sink has no log in the partition (any more). APART: not in one step with what is to lead
    to it.
    """

    CREATED = "created"
    EXPIRED = "expired"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - an outcome, no token
    MISMATCH = "mismatch"
    UNKNOWN_REGISTRATION = "unknown_registration"
    SESSION_MISMATCH = "session_mismatch"
    UNKNOWN_SESSION = "unknown_session"
    QUOTA = "quota"
    REGISTRATION_QUOTA = "registration_quota"
    SESSION_QUOTA = "session_quota"
    NO_CHANNEL = "no_channel"
    FULL = "full"
    APART = "apart"


class UpdateOutcome(StrEnum):
    """UPDATED, or why not. Source: lua/update.lua."""

    UPDATED = "updated"
    GONE = "gone"
    ENDED = "ended"
    EXPIRED = "expired"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - an outcome, no token


@dataclass(frozen=True, slots=True)
class CreateResult:
    """A subscription that was created starts at `now_ms` and ends by `expires_at_ms`, if it has an end."""

    outcome: CreateOutcome
    now_ms: int = 0
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """A subscription that was updated ends by `expires_at_ms`, if it has an end, and shows `request`."""

    outcome: UpdateOutcome
    expires_at_ms: int | None = None
    request: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leading:
    """What a create does with `keys`, which are to lead to it, in the same step. Source: lua/create.lua."""

    keys: Sequence[str]
    args: Sequence[str | int]


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """How many subscriptions there may be that are not over; 0: no limit."""

    per_client: int
    per_registration: int
    per_session: int
    require_known_registration: bool

    @classmethod
    def of(cls, settings: Settings) -> "SubscriptionLimits":
        return cls(
            per_client=settings.max_subscriptions,
            per_registration=settings.max_registration_subscriptions,
            per_session=settings.max_session_subscriptions,
            require_known_registration=settings.require_known_registration,
        )


def fields_of(
    subscription: Subscription, request: str, sink: str, headers: Mapping[str, str], sealed: str | None
) -> dict[str, str | int]:
    """Of its hash, those that the script takes as they are."""
    fields: dict[str, str | int] = {
        "request": request,
        "max_events": "" if subscription.max_events is None else subscription.max_events,
        "sink": sink,
        "headers": json.dumps(dict(headers)),
        "contract": subscription.contract,
    }
    if sealed is not None:
        fields |= {"credential": sealed, **({"fetches_token": 1} if fetches_token(sealed) else {})}
    if subscription.device is not None:
        fields["types"] = " ".join(event_type.rpartition(".")[2] for event_type in subscription.types)
    return fields


def create_call(
    partition: Partition,
    subscription: Subscription,
    fields: Mapping[str, str | int],
    limits: SubscriptionLimits,
    *,
    session_room: int | None,
    session_over: bool,
    channel: str | None,
    leading: Leading | None = None,
) -> Call:
    """Source: lua/create.lua."""
    args: list[str | int] = [
        subscription.id,
        subscription.type,
        subscription.registration,
        subscription.session or "",
        "" if subscription.expires_at_ms is None else subscription.expires_at_ms,
        "" if subscription.token_expires_at_ms is None else subscription.token_expires_at_ms,
        subscription.client,
        subscription.subject or "",
        int(limits.require_known_registration),
        int(subscription.initial_event),
        int(session_over),
        subscription.origin or "",
        limits.per_registration or "",
        "" if session_room is None else session_room,
        channel or "",
        subscription.device or "",
        *(part for pair in fields.items() for part in pair),
    ]
    keys = [partition.subscription(subscription.id)]
    if leading is not None:
        keys += leading.keys
        args += [*leading.args, len(leading.args)]
    return Call("create", keys, partition.tag, args)


def create_result(answer: tuple[str, str | int, str | int]) -> CreateResult:
    outcome, now_ms, expires_at = answer
    return CreateResult(CreateOutcome(outcome), int(now_ms), int(expires_at) if expires_at else None)


def record_of(subscription: Subscription) -> dict[str, str]:
    """Fields of its record, under their names there. How its sink is written there is not known."""
    return {
        "type": subscription.type,
        "registration": subscription.registration,
        "session": subscription.session or "",
        "device": subscription.device or "",
    }


def update_call(
    partition: Partition,
    subscription: Subscription,
    request: str,
    *,
    expires_at_ms: int | None,
    sealed: str | None,
) -> Call:
    """Source: lua/update.lua."""
    args: list[str | int] = [
        subscription.id,
        "" if expires_at_ms is None else expires_at_ms,
        "" if expires_at_ms is None else request,
        "" if sealed is None else "never" if fetches_token(sealed) else subscription.token_expires_at_ms or 0,
        sealed or "",
    ]
    return Call("update", [partition.subscription(subscription.id)], partition.tag, args)


def update_result(answer: Sequence[str], record: Mapping[str, str]) -> UpdateResult:
    """`record`: fields that the update has not changed."""
    if answer[0] != UpdateOutcome.UPDATED:
        return UpdateResult(UpdateOutcome(answer[0]))
    _, expires_at, request, sink = answer
    shown = json.loads(whole(request, {**record, "sink": sink}))
    return UpdateResult(UpdateOutcome.UPDATED, int(expires_at) if expires_at else None, shown)
