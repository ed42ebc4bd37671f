"""Where a request for a change comes from: a page of this console, and no other.

Three checks, each enough in a current browser: Fetch metadata, the Origin header, and a token of the
session that only our pages know (OWASP, Cross-Site Request Forgery Prevention).
"""

import hmac
import secrets
from typing import Final

from flask import abort, request, session

__all__ = ["TOKEN_FIELD", "TOKEN_HEADER", "change_token", "check_origin"]

TOKEN_FIELD: Final = "csrf_token"  # noqa: S105 - a field's name
"""Of a form: `<input type="hidden" name="csrf_token" value="{{ csrf_token() }}">`."""
TOKEN_HEADER: Final = "X-CSRF-Token"  # noqa: S105 - a header's name
"""Of a script, which finds the token in `<meta name="csrf-token">`."""

_SESSION_KEY = "csrf"
_REFUSED = "This change did not come from a page of this console. Open the page again, and try once more."


def change_token() -> str:
    """The session's token, which is made with its first page."""
    token = session.get(_SESSION_KEY)
    if not isinstance(token, str):
        token = session[_SESSION_KEY] = secrets.token_urlsafe(24)
    return token


def check_origin() -> None:
    """Ends the request with 403 unless one of our pages sent it."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin"):
        abort(403, _REFUSED)
    # Without Fetch metadata a browser still says where a POST comes from. Behind a proxy the scheme differs.
    if site is None and origin is not None and origin.partition("://")[2] != request.host:
        abort(403, _REFUSED)
    given = request.headers.get(TOKEN_HEADER) or request.form.get(TOKEN_FIELD) or ""
    known = session.get(_SESSION_KEY)
    if not isinstance(known, str) or not hmac.compare_digest(given.encode(), known.encode()):
        abort(403, _REFUSED)
