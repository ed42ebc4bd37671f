"""What all pages of the console have in common."""

import pytest
from flask import Blueprint, render_template_string
from flask.testing import FlaskClient

from webrtc_events.console.console_app import console_app
from webrtc_events.console.section import Section

_PAGE = """
{% extends 'base.html' %}
{% block title %}Calls{% endblock %}
{% block content %}{{ text }}{% endblock %}
"""


def section(name: str) -> Section:
    pages = Blueprint(name, __name__, url_prefix=f"/{name}")

    @pages.get("/")
    def first() -> str:
        return render_template_string(_PAGE, text="<script>alert(1)</script>")

    return Section(name.title(), f"{name}.first", pages)


@pytest.fixture
def client() -> FlaskClient:
    return console_app([section("calls"), section("sinks")]).test_client()


def test_the_console_leads_to_its_first_section(client: FlaskClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.location) == (302, "/calls/")


def test_a_page_shows_the_sections_and_where_it_is(client: FlaskClient) -> None:
    text = client.get("/sinks/").text
    assert '<a href="/calls/">Calls</a>' in text
    assert '<a href="/sinks/" aria-current="page">Sinks</a>' in text


def test_what_others_sent_is_text(client: FlaskClient) -> None:
    assert "&lt;script&gt;alert(1)" in client.get("/calls/").text


@pytest.mark.parametrize("path", ["/calls/", "/_static/console.css", "/nowhere"])
def test_a_browser_loads_nothing_from_elsewhere(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_links_follow_the_place_where_the_console_is(client: FlaskClient) -> None:
    answer = client.get("/calls/", environ_overrides={"SCRIPT_NAME": "/console"})
    assert 'href="/console/_static/console.css"' in answer.text
    assert '<a href="/console/sinks/">Sinks</a>' in answer.text
