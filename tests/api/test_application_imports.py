"""What Connexion imports for nothing stays unloaded in the API, and is there for whoever uses it later."""

import subprocess
import sys

import pytest

from tests.harness.commands import clean_environ

# A process that serves the API alone has none of these: clients, Flask, and the way to WSGI.
_UNUSED = {
    "a2wsgi",
    "asgiref",
    "flask",
    "httpx",
    "opentelemetry",
    "redis.asyncio",
    "rich",
    "starlette.testclient",
    "werkzeug.serving",
    "werkzeug.test",
}


def _printed(code: str, environ: dict[str, str]) -> list[str]:
    """What a separate process prints that has started the API; it warns of nothing."""
    start = "import sys, webrtc_events.app as app; app.create_app()"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}\n{code}"],
        env=clean_environ() | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_the_api_starts_without_them(environ: dict[str, str]) -> None:
    modules = set(_printed("print(*sys.modules)", environ))
    assert "connexion.middleware.security" in modules
    assert {
        name for name in modules if any(f"{name}.".startswith(f"{unused}.") for unused in _UNUSED)
    } == set()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import connexion; print(type(connexion.FlaskApp('app')).__module__)", "connexion.apps.flask"),
        ("import connexion; print(isinstance(connexion.FlaskApp('app'), connexion.FlaskApp))", "True"),
        (
            "import connexion; print(type(connexion.AsyncApp('app').test_client()).__module__)",
            "starlette.testclient",
        ),
        ("import flask; print(flask.Flask('app').test_client().get('/').status_code)", "404"),
        ("import werkzeug; print(werkzeug.Request({'REQUEST_METHOD': 'GET'}).method)", "GET"),
        ("import httpx; print(httpx.Client.__module__)", "httpx"),
        ("import redis; print(redis.asyncio.Redis.__module__)", "redis.asyncio.client"),
        ("from redis import asyncio; print(asyncio.Redis.__module__)", "redis.asyncio.client"),
        ("import redis.asyncio; print(redis.asyncio.client.Redis.__module__)", "redis.asyncio.client"),
    ],
)
def test_who_uses_them_later_gets_them(code: str, said: str, environ: dict[str, str]) -> None:
    # Starlette's client warns of httpx, where there is no httpx2.
    assert _printed(f"import warnings; warnings.simplefilter('ignore'); {code}", environ) == [said]
