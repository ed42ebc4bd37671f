"""`/healthz`: the process answers. `/readyz`: it can also do its work."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from starlette.responses import Response

from webrtc_events.errors import Unavailable
from webrtc_events.http.answers import json_response

__all__ = ["Check", "healthy", "ready"]

Check = Callable[[], bool]
"""May block for a few seconds; runs in a thread. False or an error: not ready."""

_logger = logging.getLogger(__name__)


def healthy() -> Response:
    return json_response({"status": "ok"})


async def ready(checks: Mapping[str, Check]) -> Response:
    """200 if all checks pass, else 503; names each: `{"status": ..., "checks": {name: bool}}`."""
    passed = await asyncio.gather(*(asyncio.to_thread(_passes, *each) for each in checks.items()))
    ok = all(passed)
    body = {"status": "ok" if ok else "unavailable", "checks": dict(zip(checks, passed, strict=True))}
    return json_response(body, 200 if ok else Unavailable.status)


def _passes(name: str, check: Check) -> bool:
    try:
        return check()
    except Unavailable:
        return False
    except Exception:
        _logger.exception("readiness check %s failed", name)
        return False
