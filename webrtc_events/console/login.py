"""The login: an authorization code with PKCE from the deployment's token issuer, then a session cookie.

Sources: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9700, section 2.1.1.
"""

import logging
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from authlib.integrations.requests_client import OAuth2Session
from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

from webrtc_events.api.issuer_session import prepare_session
from webrtc_events.console.access import Operator
from webrtc_events.console.audit import record_change
from webrtc_events.core.clock import Clock
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.errors import PermissionDenied, Unauthenticated, Unavailable
from webrtc_events.core.log_masking import PersonalData

__all__ = ["SCOPE", "LoginAccess", "LoginOptions"]

log = logging.getLogger(__name__)

SCOPE: Final = "webrtc-events:operate"
"""Who has it sees the console, and changes what it can change."""

_PREFIX: Final = "/login"
_DONE: Final = "/done"
_SESSION_S: Final = 3600
_TIMEOUT_S: Final = 5.0
_SESSION_KEY: Final = "operator"
_MAX_PATH: Final = 500
# How Authlib's names in the session begin, and how many logins may be under way: a cookie has 4 kB.
_STATE: Final = "_state_issuer_"
_MAX_BEGUN: Final = 3


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """`url`: where browsers find the console. `client_secret` None: a public client.

    `proxy`: the egress proxy that the issuer is reached by, if there is one.
    """

    url: str
    configuration_url: str
    client_id: str
    client_secret: str | None
    proxy: EgressProxy | None = None


class _Issuer(FlaskOAuth2App):
    """Authlib keeps state, nonce and code verifier in the session, and checks them."""

    def use(self, proxy: EgressProxy | None) -> None:
        """How the issuer is reached."""

        def client(*args: Any, **options: Any) -> OAuth2Session:
            made = OAuth2Session(*args, **options)
            prepare_session(made, proxy)
            return made

        # Authlib calls it, and asks for no more of it.
        self.client_cls = client  # type: ignore[assignment]


class LoginAccess:
    """Pages for those who have logged in with the scope, for an hour; then they log in again.

    The name under which an operator stands in the log is the `sub` of the issuer.
    """

    def __init__(self, options: LoginOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._host = urlsplit(options.url).netloc
        self._issuer = _Issuer(
            FlaskIntegration("issuer"),
            "issuer",
            client_id=options.client_id,
            client_secret=options.client_secret,
            server_metadata_url=options.configuration_url,
            client_kwargs={
                "scope": f"openid profile {SCOPE}",
                "code_challenge_method": "S256",
                "default_timeout": _TIMEOUT_S,
            },
        )
        self._issuer.use(options.proxy)
        self.pages = self._blueprint()

    def enter(self) -> Operator | Response:
        if request.host.lower() != self._host:
            abort(400, f"Open the console at {self._options.url}.")
        operator = self._operator()
        if operator is not None:
            return operator
        if request.blueprint == self.pages.name:
            return Operator("", may_change=False)
        if request.method == "GET" and request.accept_mimetypes.accept_html:
            return redirect(url_for("login.begin", path=request.full_path.rstrip("?")[:_MAX_PATH]))
        raise Unauthenticated

    def _operator(self) -> Operator | None:
        """Who has logged in, less than an hour ago."""
        found = session.get(_SESSION_KEY)
        if not isinstance(found, dict) or self._clock.now() >= found.get("until", 0):
            return None
        return Operator(found["name"], may_change=True, logged_in=True, shown=found["shown"])

    def _blueprint(self) -> Blueprint:
        pages = Blueprint("login", __name__, url_prefix=_PREFIX)

        @pages.get("/")
        def begin() -> Response:
            path = _local_path(request.args.get("path", ""))
            return redirect(_address(path) if self._operator() is not None else self._begin(path))

        @pages.get(_DONE)
        def done() -> Response:
            if self._operator() is not None:
                # Several tabs had begun, and another was first.
                return redirect(url_for("home"))
            begun = self._issuer.framework.get_state_data(session, request.args.get("state", "")) or {}
            operator, until = self._logged_in(), round(self._clock.now()) + _SESSION_S
            # A session from before the login is worth nothing after it.
            session.clear()
            session[_SESSION_KEY] = {**operator, "until": until}
            log.info("operator=%s logged in", operator["name"])
            return redirect(_address(_local_path(begun.get("path", ""))))

        @pages.post("/out")
        def logout() -> Response:
            record_change("logout", "done")
            session.clear()
            return redirect(url_for(".out"), 303)

        @pages.get("/out")
        def out() -> str:
            return render_template("logged_out.html")

        return pages

    def _begin(self, path: str) -> str:
        """The address at the issuer. What is needed when it leads back is in the session, of a few logins."""
        before = [name for name in session if name.startswith(_STATE)]
        for name in before[: 1 - _MAX_BEGUN]:
            session.pop(name)
        done = f"{self._options.url}{_PREFIX}{_DONE}"
        try:
            begun = self._issuer.create_authorization_url(done)
        except (requests.RequestException, RuntimeError) as error:
            raise _out_of_reach(error) from error
        address: str = begun.pop("url")
        self._issuer.save_authorize_data(redirect_uri=done, path=path, **begun)
        return address

    def _logged_in(self) -> dict[str, str]:
        """Name and shown name of who comes back from the issuer.

        Raises:
            PermissionDenied: the issuer refused, what it said is not valid, or the scope is not granted.
            Unavailable: the issuer does not answer.
        """
        try:
            token = self._issuer.authorize_access_token(
                claims_options={
                    "iss": {"essential": True, "value": self._issuer.load_server_metadata()["issuer"]},
                    "aud": {"essential": True, "value": self._options.client_id},
                }
            )
        except requests.RequestException as error:
            raise _out_of_reach(error) from error
        except (AuthlibBaseError, JoseError, KeyError, RuntimeError, ValueError) as error:
            # The last three: documents of the issuer are not what they should be.
            log.warning("a login was refused: %s", error)
            raise PermissionDenied(f"The login did not succeed ({_code_of(error)}). Log in again.") from error
        claims = token.get("userinfo")
        if claims is None:
            raise PermissionDenied("The issuer says nothing of who logged in: it gave no id_token.")
        name = str(claims["sub"])
        if SCOPE not in _granted(token):
            log.warning("a login was refused: operator=%s lacks the scope %s", PersonalData(name), SCOPE)
            raise PermissionDenied(
                f"You have logged in, but the issuer did not grant you the scope {SCOPE}. "
                "Ask whoever manages accounts there for it."
            )
        return {"name": name, "shown": str(claims.get("preferred_username") or claims.get("name") or name)}


def _granted(token: dict[str, Any]) -> frozenset[str]:
    """The scopes that the issuer says it granted, in its answer or in the access token, which came with it.

    One that says nothing of them grants none here, where RFC 6749, 5.1, means all that was asked for.
    """
    said = token.get("scope")
    if said is None:
        try:
            claims = jwt.decode(token.get("access_token", ""), options={"verify_signature": False})
        except jwt.PyJWTError:
            return frozenset()
        said = claims.get("scope", claims.get("scp", ""))
    if isinstance(said, str):
        return frozenset(said.split())
    return frozenset(map(str, said)) if isinstance(said, list) else frozenset()


def _local_path(path: str) -> str:
    """Where a login leads back to: a page of the console, and never another site."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else "/"


def _address(path: str) -> str:
    """Of a page, below the path under which browsers find the console."""
    return f"{request.script_root}{path}"


def _code_of(error: Exception) -> str:
    """The error's name, such as `access_denied`: what it says besides may be anybody's words."""
    return str(getattr(error, "error", None) or type(error).__name__)[:60]


def _out_of_reach(error: Exception) -> Unavailable:
    log.warning("the token issuer is out of reach for a login: %s", error)
    return Unavailable("The token issuer cannot be reached: nobody can log in. Try again later.")
