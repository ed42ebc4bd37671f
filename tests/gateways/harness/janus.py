"""A real Janus with its SIP plugin and its event handler, on loopback, and a client of its HTTP API."""

import itertools
import subprocess
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import requests

from tests.gateways.harness.ports import MEDIA_PORTS, free_port
from tests.harness.commands import eventually

__all__ = ["ANSWER", "OFFER", "SERVER_NAME", "Janus", "SipHandle"]

SERVER_NAME: Final = "janus-of-a-test"
_BOUND_S: Final = 30.0
_PLUGINS: Final = "/usr/lib/x86_64-linux-gnu/janus"

_SDP: Final = (
    "v=0\r\n"
    "o=- {number} 2 IN IP4 127.0.0.1\r\n"
    "s=-\r\n"
    "t=0 0\r\n"
    "a=group:BUNDLE 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 0 8\r\n"
    "c=IN IP4 0.0.0.0\r\n"
    "a=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=ice-ufrag:ufr{number}\r\n"
    "a=ice-pwd:passwordofsomelength{number}\r\n"
    "a=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 {fingerprint}\r\n"
    "a=setup:{setup}\r\n"
    "a=mid:0\r\n"
    "a=sendrecv\r\n"
    "a=rtcp-mux\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000\r\n"
)
_FINGERPRINT: Final = ":".join(f"{byte:02X}" for byte in range(32))
OFFER: Final = _SDP.format(number=1, fingerprint=_FINGERPRINT, setup="actpass")
"""As a browser would send; no media ever flows."""
ANSWER: Final = _SDP.format(number=2, fingerprint=_FINGERPRINT, setup="active")


class Janus:
    """A context manager: a Janus that posts its events to `backend`, with these credentials."""

    def __init__(
        self,
        folder: Path,
        backend: str,
        *,
        user: str = "janus",
        password: str = "secret",
        events: str = "sessions,handles,plugins,core",
        register_ttl_s: int = 3600,
        retransmissions: int = 10,
        name: str = SERVER_NAME,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/janus"
        self.log = folder / "janus.log"
        folder.mkdir(parents=True, exist_ok=True)
        self._write("janus.jcfg", _janus_jcfg(folder, name))
        self._write("janus.transport.http.jcfg", _http_jcfg(self.port))
        self._write(
            "janus.plugin.sip.jcfg",
            'general: {\n  local_ip = "127.0.0.1"\n  sdp_ip = "127.0.0.1"\n  keepalive_interval = 0\n'
            f'  register_ttl = {register_ttl_s}\n  rtp_port_range = "{MEDIA_PORTS}"\n}}\n',
        )
        self._write(
            "janus.eventhandler.sampleevh.jcfg",
            f'general: {{\n  enabled = true\n  events = "{events}"\n  grouping = true\n  json = "compact"\n'
            f'  backend = "{backend}"\n  backend_user = "{user}"\n  backend_pwd = "{password}"\n'
            f"  max_retransmissions = {retransmissions}\n  retransmissions_backoff = 100\n}}\n",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when its HTTP API answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["janus", f"--configs-folder={self.folder}", "--disable-colors"], stdout=log, stderr=log
            )
        eventually(self._answers, _BOUND_S)

    def kill(self) -> None:
        """As a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_BOUND_S)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_BOUND_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-2000:]
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/info", timeout=_BOUND_S).status_code == 200
        return False

    def attach(self, opaque_id: str | None = None) -> "SipHandle":
        """A session with a handle of the SIP plugin."""
        return SipHandle(self.url, opaque_id)


class SipHandle:
    """A handle of the SIP plugin in a session of its own, as a browser has it."""

    def __init__(self, url: str, opaque_id: str | None = None) -> None:
        self._http = requests.Session()
        self._events: list[dict[str, Any]] = []
        self._numbers = itertools.count()
        self.session = self._post(url, {"janus": "create"})["data"]["id"]
        self._session_url = f"{url}/{self.session}"
        attach: dict[str, Any] = {"janus": "attach", "plugin": "janus.plugin.sip"}
        if opaque_id is not None:
            attach["opaque_id"] = opaque_id
        self.id = self._post(self._session_url, attach)["data"]["id"]

    def register(
        self, user: str, proxy: str, *, host: str = "127.0.0.1", display_name: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Until the registrar has answered."""
        body = {
            "request": "register",
            "username": f"sip:{user}@{host}",
            "proxy": proxy,
            "authuser": user,
            "secret": "secret",
            "force_udp": True,
            **more,
        }
        if display_name is not None:
            body["display_name"] = display_name
        self.send(body)
        return self.wait_for("registered", "registration_failed")

    def unregister(self) -> dict[str, Any]:
        self.send({"request": "unregister"})
        return self.wait_for("unregistered", "unregistering")

    def call(self, uri: str, sdp: str = OFFER, **more: Any) -> dict[str, Any]:
        """The INVITE is sent when this returns. A quick refusal may be told of before the call."""
        self.send({"request": "call", "uri": uri, **more}, {"type": "offer", "sdp": sdp})
        return self.wait_for("calling", "hangup")

    def accept(self, sdp: str = ANSWER) -> dict[str, Any]:
        self.send({"request": "accept"}, {"type": "answer", "sdp": sdp})
        return self.wait_for("accepted")

    def decline(self, code: int = 486) -> None:
        self.send({"request": "decline", "code": code})

    def hold(self, direction: str = "sendonly") -> None:
        self.send({"request": "hold", "direction": direction})

    def unhold(self) -> None:
        self.send({"request": "unhold"})

    def hangup(self) -> None:
        self.send({"request": "hangup"})

    def detach(self) -> None:
        self._post(f"{self._session_url}/{self.id}", {"janus": "detach"})

    def destroy(self) -> None:
        """Ends the session, as a browser that goes away. It may be over already."""
        self._http.post(self._session_url, json={"janus": "destroy", "transaction": "end"}, timeout=_BOUND_S)

    def send(self, body: dict[str, Any], jsep: dict[str, Any] | None = None) -> None:
        message: dict[str, Any] = {"janus": "message", "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        self._post(f"{self._session_url}/{self.id}", message)

    def wait_for(self, *names: str, seconds: float = _BOUND_S) -> dict[str, Any]:
        """The next event of the SIP plugin with one of these names; those before it are dropped."""
        found: list[dict[str, Any]] = []
        eventually(lambda: found or self._poll(lambda name: name in names, found), seconds)
        return found[0]

    def _poll(self, wanted: Callable[[str], bool], found: list[dict[str, Any]]) -> bool:
        answer = self._http.get(self._session_url, params={"maxev": 1}, timeout=_BOUND_S * 2).json()
        if answer.get("janus") != "event":
            return False
        data = answer["plugindata"]["data"]
        assert "error" not in data, data
        result = data.get("result", {})
        if result.get("event") == "hangup" and not wanted("hangup"):
            raise AssertionError(f"the call has ended: {result}")
        if wanted(str(result.get("event"))):
            found.append(result | {"call_id": data.get("call_id"), "jsep": answer.get("jsep")})
        return bool(found)

    def _post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        body = body | {"transaction": uuid.uuid4().hex}
        answer: dict[str, Any] = self._http.post(url, json=body, timeout=_BOUND_S).json()
        assert answer["janus"] in ("success", "ack"), answer
        return answer


def _libraries(names: str) -> str:
    return ",".join(f"libjanus_{name}.so" for name in names.split())


def _janus_jcfg(folder: Path, name: str) -> str:
    plugins = _libraries(
        "audiobridge duktape echotest lua nosip recordplay streaming textroom videocall videoroom voicemail"
    )
    return f"""
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{_PLUGINS}/plugins"
  transports_folder = "{_PLUGINS}/transports"
  events_folder = "{_PLUGINS}/events"
  loggers_folder = "{_PLUGINS}/loggers"
  debug_level = 4
  server_name = "{name}"
  session_timeout = 60
}}
media: {{ ipv6 = false }}
nat: {{ nice_debug = false, full_trickle = false, ice_enforce_list = "lo", ice_ignore_list = "none" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{_libraries("mqtt nanomsg pfunix rabbitmq websockets")}" }}
events: {{ broadcast = true, disable = "{_libraries("gelfevh mqttevh nanomsgevh rabbitmqevh wsevh")}" }}
loggers: {{ disable = "libjanus_jsonlog.so" }}
"""


def _http_jcfg(port: int) -> str:
    return (
        f'general: {{\n  json = "compact"\n  base_path = "/janus"\n  http = true\n  port = {port}\n'
        '  ip = "127.0.0.1"\n  https = false\n}\nadmin: {\n  admin_http = false\n}\n'
    )
