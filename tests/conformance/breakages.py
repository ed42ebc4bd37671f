"""Ways to break the service, each at one place, for the checks to find.

A breakage wraps the real application. It relays what it does not mean to break.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Answer", "Breakable", "Breakage", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def with_token(self, token: str) -> "Request":
        return replace(self, headers={**self.headers, "authorization": f"Bearer {token}"})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def with_headers(self, **headers: str | None) -> "Answer":
        """None leaves a header out; `_` in a name stands for `-`."""
        changed = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return replace(self, headers={name: value for name, value in changed.items() if value is not None})

    def with_json(self, status: int, value: Any) -> "Answer":
        body = json.dumps(value).encode()
        kept = self.with_headers(content_type="application/json", content_length=str(len(body)))
        return replace(kept, status=status, body=body)


Service = Callable[[Request], Awaitable[Answer]]
Breakage = Callable[[Service, Request], Awaitable[Answer]]


class Breakable:
    """The application, broken as long as `breakage` is set."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.breakage: Breakage | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.breakage is None:
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope["method"], scope["path"], headers, await _read(receive))
        answer = await self.breakage(lambda sent: self._serve(scope, sent), request)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})

    async def _serve(self, scope: Scope, request: Request) -> Answer:
        collected = _Collected(request.body)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
        await self._app(
            {**scope, "method": request.method, "headers": raw}, collected.receive, collected.send
        )
        return collected.answer()


@dataclass(slots=True)
class _Collected:
    body: bytes
    messages: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    def answer(self) -> Answer:
        start, *bodies = self.messages
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]
        }
        return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in bodies))


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _is_one_subscription(request: Request) -> bool:
    return "/subscriptions/" in request.path


async def has_another_status(serve: Service, request: Request) -> Answer:
    answer = await serve(request)
    return replace(answer, status=203) if answer.is_success else answer


async def has_another_type(serve: Service, request: Request) -> Answer:
    answer = await serve(request)
    return answer.with_headers(content_type="text/json") if answer.is_success else answer


async def has_another_schema(serve: Service, request: Request) -> Answer:
    answer = await serve(request)
    return answer.with_json(answer.status, {}) if answer.is_success else answer


async def has_no_correlator(serve: Service, request: Request) -> Answer:
    return (await serve(request)).with_headers(x_correlator=None)


async def answers_403_without_token(serve: Service, request: Request) -> Answer:
    answer = await serve(request)
    if "authorization" in request.headers:
        return answer
    return answer.with_json(403, {"status": 403, "code": "PERMISSION_DENIED", "message": "broken"})


def refuses_some(member: str, status: int, code: str) -> Breakage:
    """A valid body in which `member` is named is answered with an error."""

    async def breakage(serve: Service, request: Request) -> Answer:
        answer = await serve(request)
        if answer.is_success and f'"{member}"' in request.body.decode():
            return answer.with_json(status, {"status": status, "code": code, "message": "broken"})
        return answer

    return breakage


async def deletes_nothing(serve: Service, request: Request) -> Answer:
    if request.method != "DELETE":
        return await serve(request)
    answer = await serve(replace(request, method="GET"))
    if answer.status != 200:
        return answer
    return Answer(204, {"x-correlator": answer.headers["x-correlator"]})


async def forgets_what_it_made(serve: Service, request: Request) -> Answer:
    answer = await serve(request)
    if request.method == "GET" and _is_one_subscription(request) and answer.status == 200:
        return answer.with_json(404, {"status": 404, "code": "NOT_FOUND", "message": "broken"})
    return answer


async def serves_any_method(serve: Service, request: Request) -> Answer:
    answer = await serve(request)
    return answer.with_json(200, []) if answer.status == 405 else answer


async def names_no_methods(serve: Service, request: Request) -> Answer:
    return (await serve(request)).with_headers(allow=None)


async def names_other_methods(serve: Service, request: Request) -> Answer:
    answer = await serve(request)
    return answer.with_headers(allow="PATCH") if "allow" in answer.headers else answer


def lists_late(seconds: float) -> Breakage:
    async def breakage(serve: Service, request: Request) -> Answer:
        answer = await serve(request)
        if answer.is_success and request.path.endswith("/subscriptions"):
            await asyncio.sleep(seconds)
        return answer

    return breakage


def takes_any_body(stand_in: Any) -> Breakage:
    """Where the service refuses a body, one that it takes stands in for it."""
    body = json.dumps(stand_in).encode()
    fitting = {"content-type": "application/json", "content-length": str(len(body))}

    async def breakage(serve: Service, request: Request) -> Answer:
        answer = await serve(request)
        if request.method not in ("POST", "PUT") or answer.status not in (400, 415, 422):
            return answer
        return await serve(replace(request, headers={**request.headers, **fitting}, body=body))

    return breakage


def takes_no_token(owner: str) -> Breakage:
    """A request without a token is taken as the owner's."""

    async def breakage(serve: Service, request: Request) -> Answer:
        return await serve(request if "authorization" in request.headers else request.with_token(owner))

    return breakage


def takes_any_token(owner: str) -> Breakage:
    """A request with a token that is not valid is taken as the owner's."""

    async def breakage(serve: Service, request: Request) -> Answer:
        answer = await serve(request)
        if answer.status == 401 and "authorization" in request.headers:
            return await serve(request.with_token(owner))
        return answer

    return breakage


def shows_all_to_all(owner: str) -> Breakage:
    """Any valid token reads what the owner's may read."""

    async def breakage(serve: Service, request: Request) -> Answer:
        answer = await serve(request)
        if answer.status == 404 and request.method == "GET" and _is_one_subscription(request):
            return await serve(request.with_token(owner))
        return answer

    return breakage
