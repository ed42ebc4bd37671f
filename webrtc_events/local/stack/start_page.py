"""The start page of `serve`: its parts and the first steps."""

from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

from flask import render_template
from starlette.types import ASGIApp, Receive, Scope, Send

from webrtc_events.core.errors import NotFound
from webrtc_events.local.pages import page_app
from webrtc_events.local.stack.first_steps import Step, demo_command, first_steps
from webrtc_events.local.stack.http_server import asgi
from webrtc_events.local.stack.local_stack import LocalStack

__all__ = ["start_page"]


@dataclass(frozen=True, slots=True)
class _Link:
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of the service that a person visits. `note` says what may surprise there."""

    name: str
    about: str
    url: str
    links: tuple[_Link, ...]
    note: str = ""


def start_page(stack: LocalStack) -> ASGIApp:
    """Mount it at `/`. It answers every other path as if there were no pages."""
    app = page_app()
    steps = _steps(stack)

    @app.get("/")
    def page() -> str:
        return render_template(
            "start.html",
            version=version("webrtc-events"),
            places=_places(stack),
            steps=steps,
            facts=_facts(stack),
        )

    pages = asgi(app)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/" and not scope["path"].startswith("/_static/"):
            raise NotFound
        await pages(scope, receive, send)

    return answer


def _places(stack: LocalStack) -> list[_Place]:
    endpoints = stack.endpoints
    about = "For people: what happens to calls, subscriptions and notifications."
    console = _link_here("Open", endpoints.console)
    places = [_Place("Console", about, endpoints.console, (console,))]
    if stack.softphone is not None:
        about = "An example: a phone in the browser, which reads its notifications from a channel."
        places.append(_Place("Softphone", about, stack.softphone, (_link_here("Open", stack.softphone),)))
    if "public" in stack.apis:
        about = "For applications: they subscribe and manage their subscriptions."
        link = _link_here("Swagger UI", f"{endpoints.public}/ui/")
        places.append(_Place("API", about, endpoints.public, (link,)))
    if stack.serves_v0_3:
        about = "For applications: the next version, whose subscriptions are to devices."
        link = _link_here("Swagger UI", f"{endpoints.public_v0_3}/ui/")
        places.append(_Place("API 0.3", about, endpoints.public_v0_3, (link,)))
    if "network" in stack.apis:
        about = "For gateways: they publish events and report registrations."
        link = _link_here("Swagger UI", f"{endpoints.network}/ui/")
        places.append(_Place("Gateway side", about, endpoints.network, (link,)))
    sink = _Place(
        "Sink",
        "For subscribers: it takes notifications at any path, validates them and shows them.",
        f"{endpoints.sink}/…",
        (_Link("Inbox", f"{endpoints.sink}/"),),
        "Your browser warns about its certificate, because the local CA signed it.",
    )
    return [*places, sink]


def _link_here(name: str, url: str) -> _Link:
    """A path, so that it works under every name of this machine."""
    return _Link(name, urlsplit(url).path)


def _steps(stack: LocalStack) -> list[Step]:
    if not stack.complete:
        return []
    demo = Step("Run all of it at once, for every type of event, with checks.", demo_command(stack))
    return [*first_steps(stack), demo]


def _facts(stack: LocalStack) -> dict[str, str]:
    return {
        "store": stack.store,
        "issuer": stack.issuer,
        "data": str(stack.data),
        "sink's CA": str(stack.ca),
    }
