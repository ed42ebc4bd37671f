"""The forms of the console's page Simulate, filled in as a person does."""

import re

from playwright.sync_api import Page, expect

from webrtc_events.local.endpoints import Endpoints

__all__ = ["play", "subscribe"]


def subscribe(
    page: Page, endpoints: Endpoints, path: str, registration: str, session: str = "", *, sink: str = ""
) -> str:
    """To the invitations of a registration, or to the statuses of a session; `sink`: if not the local one.

    Returns:
        The id of the subscription.
    """
    page.goto(f"{endpoints.console}simulate/")
    form = page.locator("#subscribe-form")
    form.get_by_label("sink", exact=True).fill(f"{sink or endpoints.sink}/{path}")
    form.get_by_label("types").select_option(label="session-status" if session else "session-invitation")
    form.get_by_label("registrationId").fill(registration)
    form.get_by_label("sessionId").fill(session)
    form.get_by_role("button", name="Subscribe").click()
    notice = page.get_by_role("status").filter(has_text="Subscribed: ")
    expect(notice).to_be_visible()
    return notice.inner_text().removeprefix("Subscribed: ").strip()


def play(page: Page, endpoints: Endpoints, registration: str, session: str = "", **fields: str) -> None:
    """A composed call; `fields` by the names of the form's fields."""
    page.goto(f"{endpoints.console}simulate/")
    form = page.locator("#play-form")
    for name, value in {"registration": registration, "session": session, **fields}.items():
        field = form.locator(f"[name={name}]")
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    form.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile(r"\?like="))
    expect(page.locator("#runs .run").first).to_contain_text("events accepted")
