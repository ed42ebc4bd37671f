"""The start page of `serve`: what this is, where its parts are, and what to do first."""

from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

from flask import render_template
from starlette.types import ASGIApp, Receive, Scope, Send

from webrtc_events.core.errors import NotFound
from webrtc_events.local.pages import page_app
from webrtc_events.local.stack.first_steps import Step, demo_command, first_steps
from webrtc_events.local.stack.layout import Stack
from webrtc_events.local.stack.servers import asgi

__all__ = ["landing"]


@dataclass(frozen=True, slots=True)
class _Link:
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of the service that a person goes to. `note`: what may surprise there."""

    name: str
    about: str
    url: str
    links: tuple[_Link, ...]
    note: str = ""


def landing(stack: Stack) -> ASGIApp:
    """To be mounted at `/`. Every other path is answered as if there were no pages."""
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


def _places(stack: Stack) -> list[_Place]:
    endpoints = stack.endpoints
    places = []
    if "public" in stack.apis:
        links = [_link_here("Swagger UI", f"{endpoints.public}/ui/")]
        if stack.next:
            links.append(_link_here("next contract", f"{endpoints.api}/webrtc-events/vwip/ui/"))
        about = "What applications use: they subscribe, and look after their subscriptions."
        places.append(_Place("API", about, endpoints.public, tuple(links)))
    if "network" in stack.apis:
        about = "What a gateway uses: it publishes events and tells of registrations."
        link = _link_here("Swagger UI", f"{endpoints.network}/ui/")
        places.append(_Place("Gateway side", about, endpoints.network, (link,)))
    sink = _Place(
        "Sink",
        "A subscriber's end: it takes notifications at any path, validates and shows them.",
        f"{endpoints.sink}/…",
        (_Link("Inbox", f"{endpoints.sink}/"),),
        "Your browser will warn of its certificate, which the local CA signed.",
    )
    return [*places, sink]


def _link_here(name: str, url: str) -> _Link:
    """Also for those who came by another name of this machine."""
    return _Link(name, urlsplit(url).path)


def _steps(stack: Stack) -> list[Step]:
    if not stack.complete:
        return []
    demo = Step("All of it at once, for every type of event, and checked.", demo_command(stack))
    return [*first_steps(stack), demo]


def _facts(stack: Stack) -> dict[str, str]:
    return {
        "store": stack.store,
        "issuer": stack.issuer,
        "data": str(stack.data),
        "sink's CA": str(stack.ca),
    }
