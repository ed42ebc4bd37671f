"""The local issuer over HTTP: it gives any client on this machine a token, and nobody else."""

from typing import Any

from flask import Flask, Response, abort, jsonify, request

from webrtc_events.console.access import is_loopback, names_this_machine
from webrtc_events.local.endpoints import DEFAULT_CLIENT
from webrtc_events.local.stack.issuer import SCOPES, TOKEN_LIFETIME_S, LocalIssuer

__all__ = ["issuer_app"]


def issuer_app(issuer: LocalIssuer) -> Flask:
    """The issuer's pages. Mount them where `issuer.url` points."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024

    @app.before_request
    def refuse_other_names() -> None:
        # A page that has its own name resolve to loopback must not get a token.
        if not names_this_machine(request.headers.get("Host", "")):
            abort(400)

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        return jsonify(issuer.discovery())

    @app.get("/jwks.json")
    def jwks() -> Response:
        return jsonify(issuer.jwks())

    @app.post("/token")
    def token() -> tuple[Response, int]:
        answer, status = _token(issuer)
        response = jsonify(answer)
        response.headers["Cache-Control"] = "no-store"
        return response, status

    return app


def _token(issuer: LocalIssuer) -> tuple[dict[str, Any], int]:
    """Source: RFC 6749, 4.4 and 5.2."""
    if not is_loopback(request.remote_addr or ""):
        return {"error": "unauthorized_client", "error_description": "tokens are given on loopback only"}, 403
    if request.form.get("grant_type") != "client_credentials":
        return {"error": "unsupported_grant_type"}, 400
    basic = request.authorization
    client = request.form.get("client_id") or (basic.username if basic else None) or DEFAULT_CLIENT
    scopes = tuple(request.form.get("scope", "").split()) or SCOPES
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        return {"error": "invalid_scope", "error_description": f"unknown: {' '.join(unknown)}"}, 400
    return {
        "access_token": issuer.mint(client=client, scopes=scopes),
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME_S,
        "scope": " ".join(scopes),
    }, 200
