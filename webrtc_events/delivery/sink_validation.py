"""The validation of a sink: does it agree to notifications? Pure.

Source: CloudEvents 1.0.2, http-webhook.md, section 4 (abuse protection).

The question is OPTIONS to the sink itself with `WebHook-Request-Origin`, the name of this
service; every notification after an agreement carries it too. The question requests no rate and
offers no callback: the answer itself must agree.

| answer | outcome |
| --- | --- |
| 2xx, `WebHook-Allowed-Origin` is that name letter by letter, or `*` | Agreed |
| ... and `WebHook-Allowed-Rate` is neither absent, `*`, nor a positive number | Refused `bad_rate` |
| 2xx with another origin, several, or none | Refused `other_origin`, `no_origin` |
| 408, 425, 429, 5xx but 501, no answer | Retry; when no time is left, Refused `no_agreement` |
| 401 to a token that was fetched for the sink | Retry: the next has another |
| any other answer, 404, 405 and 501 among them | Refused `http_<status>` |

A status alone is no consent: a web server that knows nothing of this answers 2xx to OPTIONS too.
"""

import re
from collections.abc import Callable

from webrtc_events.core.outcomes import Agreed, Refused, Retry, SinkAnswer, SinkReply
from webrtc_events.delivery.retry_policy import decide

__all__ = ["decide_agreement", "origin_header"]

_LATER = frozenset({408, 425, 429, *range(500, 600)}) - {501}
_ANY = "*"
_RATE = re.compile(r"0*([1-9][0-9]*)", re.ASCII)
# A longer number is no limit.
_MAX_DIGITS = 9


def origin_header(origin: str) -> dict[str, str]:
    """What the question carries, and every notification to a sink that agreed."""
    return {"webhook-request-origin": origin}


def decide_agreement(
    reply: SinkReply,
    *,
    origin: str,
    attempt: int,
    remaining_ms: int,
    fetched: bool = False,
    random: Callable[[], float],
    now_s: float,
) -> Agreed | Refused | Retry:
    """Whether the sink agreed.

    Args:
        reply: its answer to the question, or why there is none.
        origin: the name that it was asked under.
        attempt, remaining_ms, fetched, random, now_s: see `retry_policy.decide`.
    """
    later = isinstance(reply, SinkAnswer) and (reply.status in _LATER or (fetched and reply.status == 401))
    if isinstance(reply, SinkAnswer) and not later:
        return _decide_answer(reply, origin)
    outcome = decide(
        reply,
        attempt=attempt,
        remaining_ms=remaining_ms,
        credentialed=False,
        fetched=fetched,
        random=random,
        now_s=now_s,
    )
    return outcome if isinstance(outcome, Retry) else Refused("no_agreement", _describe(reply))


def _decide_answer(answer: SinkAnswer, origin: str) -> Agreed | Refused:
    if not 200 <= answer.status < 300:
        return Refused(f"http_{answer.status}")
    if answer.allowed_origin is None:
        return Refused("no_origin")
    if answer.allowed_origin not in (origin, _ANY):
        return Refused("other_origin")
    if answer.allowed_rate in (None, _ANY):
        return Agreed(None)
    match = _RATE.fullmatch(answer.allowed_rate)
    if match is None:
        return Refused("bad_rate")
    return Agreed(int(match[1]) if len(match[1]) <= _MAX_DIGITS else None)


def _describe(reply: SinkReply) -> str:
    if isinstance(reply, SinkAnswer):
        return f"http_{reply.status}"
    return f"{reply.reason}: {reply.detail}" if reply.detail else reply.reason
