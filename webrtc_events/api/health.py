"""`/healthz`: the process answers. `/readyz`: it can also do its work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from webrtc_events.api.responses import json_response
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import Unavailable

__all__ = ["Check", "at_once", "healthy", "in_thread", "ready"]

Check = Callable[[], Awaitable[Condition]]
"""Tells how one dependency is doing. An exception counts as unavailable."""

_WORST_FIRST = (Health.UNAVAILABLE, Health.DEGRADED, Health.OK)

_logger = logging.getLogger(__name__)


def healthy() -> Response:
    return json_response({"status": "ok"})


async def ready(checks: Mapping[str, Check]) -> Response:
    """503 if some check is `unavailable`, else 200: what is degraded still works.

    `{"status": <the worst of all>, "checks": {<name>: {"status": ..., "detail": ...}}}`; `detail`
    is left out where all is well.
    """
    found = await asyncio.gather(*map(_condition, checks, checks.values()))
    health = {condition.health for condition in found}
    worst = next((level for level in _WORST_FIRST if level in health), Health.OK)
    body = {"status": worst, "checks": dict(zip(checks, map(_shown, found), strict=True))}
    return json_response(body, Unavailable.status if worst is Health.UNAVAILABLE else 200)


def in_thread(check: Callable[[], Condition]) -> Check:
    """For a check that blocks, for a few seconds at most."""
    return lambda: asyncio.to_thread(check)


def at_once(check: Callable[[], Condition]) -> Check:
    """For a check that only says what is known."""

    async def answer() -> Condition:
        return check()

    return answer


async def _condition(name: str, check: Check) -> Condition:
    try:
        return await check()
    except Unavailable as error:
        return Condition(Health.UNAVAILABLE, error.message)
    except Exception:
        _logger.exception("readiness check %s failed", name)
        return Condition(Health.UNAVAILABLE, "The check failed; the log says why.")


def _shown(condition: Condition) -> dict[str, str]:
    shown = {"status": condition.health.value, "detail": condition.detail}
    return {name: text for name, text in shown.items() if text}
