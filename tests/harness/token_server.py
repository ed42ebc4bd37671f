"""A token server of a subscriber: real TLS on loopback, which verifies client assertions as RFC 7523 says."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import jwt
from jwt import PyJWKSet

from tests.harness.authority import Authority
from tests.harness.sinks import Answer, Received, RecordingSink

__all__ = ["ASSERTION_TYPE", "TokenServer", "json_answer"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_JSON = (("content-type", "application/json"),)


def json_answer(body: object, status: int = 200) -> Answer:
    return Answer(status, _JSON, json.dumps(body).encode())


class TokenServer(RecordingSink):
    """Context manager. Gives `token-1`, `token-2` ... to clients that sign with a key of `key_set`.

    `key_set` is read for each request, as a server that fetches it anew does. `faults` are used up first,
    each in place of an answer. `life_s`: `expires_in`. `seen`: the claims of each assertion that was right.
    """

    def __init__(
        self,
        key_set: Callable[[], Mapping[str, Any]],
        *,
        authority: Authority | None = None,
        life_s: object = 3600,
        audience: str | None = None,
    ) -> None:
        super().__init__(authority=authority, answer=self._reply)
        self.key_set = key_set
        self.life_s = life_s
        self.audience = audience
        self.faults: list[Answer] = []
        self.seen: list[dict[str, Any]] = []
        self.key_ids: list[str] = []
        self._jtis: set[str] = set()
        self._lock = threading.Lock()

    @property
    def token_uri(self) -> str:
        return self.url_of("/token")

    def _reply(self, received: Received) -> Answer:
        with self._lock:
            if self.faults:
                return self.faults.pop(0)
            fault = self._fault(received)
            if fault is not None:
                return json_answer({"error": fault, "error_description": "the assertion is not right"}, 400)
            number = len(self.seen)
        return json_answer(
            {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": self.life_s}
        )

    def _fault(self, received: Received) -> str | None:
        """What RFC 6749 calls what is wrong with the request."""
        form = {name: values[0] for name, values in parse_qs(received.body.decode()).items()}
        if received.method != "POST" or form.get("grant_type") != "client_credentials":
            return "unsupported_grant_type"
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            return "invalid_request"
        try:
            claims = self._claims(form["client_assertion"], received)
        except (KeyError, jwt.PyJWTError):
            return "invalid_client"
        if claims["iss"] != claims["sub"] or claims["iss"] != form.get("client_id"):
            return "invalid_client"
        if claims["jti"] in self._jtis or claims["exp"] - claims["iat"] > 60:
            return "invalid_client"
        self._jtis.add(claims["jti"])
        self.seen.append(claims)
        return None

    def _claims(self, assertion: str, received: Received) -> dict[str, Any]:
        header = jwt.get_unverified_header(assertion)
        keys: Sequence[Any] = PyJWKSet.from_dict(dict(self.key_set())).keys
        key = next((key for key in keys if key.key_id == header["kid"]), None)
        if key is None:
            raise jwt.InvalidKeyError
        audience = self.audience or f"https://{received.header('host')}{received.path}"
        claims: dict[str, Any] = jwt.decode(
            assertion,
            key,
            algorithms=[key.algorithm_name],
            audience=audience,
            options={"require": ["iss", "sub", "aud", "jti", "iat", "exp"]},
        )
        self.key_ids.append(header["kid"])
        return claims
