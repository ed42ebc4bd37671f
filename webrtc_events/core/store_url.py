"""What WEBRTC_EVENTS_REDIS_URL says: where the store is.

    redis://[user:password@]host[:port][/db]                    one server; rediss:// with TLS
    unix://[user:password@]/path[?db=n]                         one server, by its socket
    redis+cluster://[user:password@]host[:port],...             a cluster, by some of its nodes
    redis+sentinel://[user:password@]host[:port],.../name[/db]  the master `name`, by its Sentinels

rediss+cluster:// and rediss+sentinel:// speak TLS to every server. Its certificate is verified
always; ssl_ca_certs, ssl_certfile and ssl_keyfile in the query name files for that. User and
password are those of the servers; Sentinels have sentinel_username and sentinel_password in
the query. What is special in a user, password, path or name is percent-encoded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

__all__ = ["StoreKind", "StoreUrl", "parse_store_url"]


class StoreKind(Enum):
    SERVER = "server"
    SOCKET = "socket"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """`path` is given with SOCKET only, `service` with SENTINEL only, `hosts` with all but SOCKET.

    `tls_files` go by the names that they have in the query.
    """

    kind: StoreKind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    service: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls_files: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """For people: no user, no password."""
        if self.kind is StoreKind.SOCKET:
            return self.path
        hosts = ", ".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        return f"{self.service} of {hosts}" if self.service else hosts


_SCHEMES = {
    "redis": (StoreKind.SERVER, False),
    "rediss": (StoreKind.SERVER, True),
    "unix": (StoreKind.SOCKET, False),
    "redis+cluster": (StoreKind.CLUSTER, False),
    "rediss+cluster": (StoreKind.CLUSTER, True),
    "redis+sentinel": (StoreKind.SENTINEL, False),
    "rediss+sentinel": (StoreKind.SENTINEL, True),
}
_DEFAULT_PORTS = {StoreKind.SERVER: 6379, StoreKind.CLUSTER: 6379, StoreKind.SENTINEL: 26379}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
# Source: RFC 3986, appendix B. Python's own urlsplit knows one host only: since its patch releases of 2025
# it refuses several of which one is an IPv6 address.
_URL = re.compile(
    r"(?P<scheme>[^:/?#]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:/?#@\[\],]+))(?::(?P<port>[0-9]{1,5}))?")


def parse_store_url(raw: str) -> StoreUrl:
    """
    Raises:
        ValueError: says what the URL must be; it never repeats a password.
    """
    parts = _URL.fullmatch(raw)
    if parts is None or parts["scheme"].lower() not in _SCHEMES:
        raise ValueError(f"must start with one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    kind, tls = _SCHEMES[parts["scheme"].lower()]
    if parts["fragment"]:
        raise ValueError("must not have a `#`; percent-encode it in a password")
    query = _query(parts["query"] or "", kind, tls=tls)
    userinfo, _, hosts = parts["authority"].rpartition("@")
    user, _, password = userinfo.partition(":")
    return StoreUrl(
        kind=kind,
        tls=tls,
        username=unquote(user) or None,
        password=unquote(password) or None,
        sentinel_username=query.get("sentinel_username"),
        sentinel_password=query.get("sentinel_password"),
        tls_files=tuple((name, query[name]) for name in _TLS_FILES if name in query),
        **_place(kind, hosts, parts["path"], query),
    )


def _query(text: str, kind: StoreKind, *, tls: bool) -> dict[str, str]:
    known = [
        *(["db"] if kind is StoreKind.SOCKET else []),
        *(["sentinel_username", "sentinel_password"] if kind is StoreKind.SENTINEL else []),
        *(_TLS_FILES if tls else []),
    ]
    query = dict(parse_qsl(text, keep_blank_values=True))
    if not query.keys() <= set(known):
        # What stands there may be the rest of a password that is not percent-encoded.
        raise ValueError(f"must have nothing after `?` but {', '.join(known) or 'with another scheme'}")
    for name in _TLS_FILES:
        if name in query and not Path(query[name]).is_file():
            raise ValueError(f"names a file {query[name]!r} in {name} that does not exist")
    return query


def _place(kind: StoreKind, hosts: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a StoreUrl that each kind of store writes otherwise."""
    match kind:
        case StoreKind.SERVER:
            found = _hosts(hosts, kind)
            if len(found) > 1:
                raise ValueError("must name one host; several are for redis+cluster:// and redis+sentinel://")
            return {"hosts": found, "db": _db(path.removeprefix("/") or "0")}
        case StoreKind.SOCKET:
            if hosts or not path:
                raise ValueError("must give a socket's absolute path, such as unix:///run/valkey.sock")
            return {"path": unquote(path), "db": _db(query.get("db", "0"))}
        case StoreKind.CLUSTER:
            if path not in ("", "/"):
                raise ValueError("must not name a database: a cluster has only one")
            return {"hosts": _hosts(hosts, kind)}
        case StoreKind.SENTINEL:
            service, _, db = path.removeprefix("/").partition("/")
            if not service:
                raise ValueError("must name the master to ask for, such as redis+sentinel://host/events")
            return {"hosts": _hosts(hosts, kind), "service": unquote(service), "db": _db(db or "0")}


def _hosts(text: str, kind: StoreKind) -> tuple[tuple[str, int], ...]:
    found = []
    for part in text.split(","):
        match = _HOST.fullmatch(part)
        port = int(match["port"] or _DEFAULT_PORTS[kind]) if match else 0
        if match is None or not 1 <= port <= 65535:
            raise ValueError(
                "must have host:port after `//`, several separated by commas where it may be several"
            )
        found.append((unquote(match["ipv6"] or match["name"]), port))
    return tuple(found)


def _db(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError("must have a number as its database")
    return int(text)
