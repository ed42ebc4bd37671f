"""The HTTP client of local commands: one session, one token, errors that say what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from webrtc_events.local.local_error import LocalError, UnreachableError

__all__ = ["ApiError", "HttpClient"]

_CONNECT_S = 5.0
_READ_S = 30.0


class ApiError(LocalError):
    """An unexpected answer; `status` is its HTTP status."""

    def __init__(self, method: str, url: str, response: requests.Response) -> None:
        self.status = response.status_code
        self.reason = _reason(response)
        super().__init__(f"{method} {url}: {self.status}, {self.reason}")


class HttpClient:
    """`token` returns the access token; the client asks for another one once if an answer is 401.

    The client trusts `ca` instead of the system's CAs.
    """

    def __init__(self, token: Callable[[], str] | None = None, ca: Path | None = None) -> None:
        self._session = requests.Session()
        # A proxy or CA bundle of the environment is not meant for servers on this machine.
        self._session.trust_env = False
        if ca is not None:
            self._session.verify = str(ca)
        self._token = token
        self._authorization: str | None = None

    def close(self) -> None:
        self._session.close()

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Any answer, whatever its status. `options` are those of requests.

        Raises:
            UnreachableError: no answer.
        """
        response = self._send(method, url, options)
        if response.status_code == 401 and self._token is not None:
            self._authorization = None
            response = self._send(method, url, options)
        return response

    def expect(self, statuses: set[int], method: str, url: str, **options: Any) -> requests.Response:
        """An answer with one of these statuses.

        Raises:
            ApiError: another status.
            UnreachableError: no answer.
        """
        response = self.request(method, url, **options)
        if response.status_code not in statuses:
            raise ApiError(method, url, response)
        return response

    def _send(self, method: str, url: str, options: dict[str, Any]) -> requests.Response:
        headers = dict(options.get("headers") or {})
        if self._token is not None:
            self._authorization = self._authorization or f"Bearer {self._token()}"
            headers["Authorization"] = self._authorization
        try:
            return self._session.request(
                method,
                url,
                **(options | {"headers": headers}),
                timeout=(_CONNECT_S, _READ_S),
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise UnreachableError(f"{url}: the certificate is not trusted ({error})") from error
        except requests.RequestException as error:
            raise UnreachableError(
                f"no answer from {url}; is `webrtc-events serve` running? ({type(error).__name__})"
            ) from error


def _reason(response: requests.Response) -> str:
    """The message of an ErrorInfo, else the first characters of the answer."""
    try:
        info = response.json()
        return f"{info['code']}: {info['message']}"
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
