"""Who may see the console, and who may change something in it."""

import ipaddress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

__all__ = ["Access", "MachineAccess", "Operator", "is_loopback", "names_this_machine"]

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks; without a name it is nobody yet. `may_change` includes to see personal data.

    `name` stands in the log of changes, `shown` on the pages of who has logged in.
    """

    name: str
    may_change: bool
    logged_in: bool = False
    shown: str = ""


class Access(Protocol):
    """Decides about each request, but those for static files. `pages`: of the login, if there is one."""

    @property
    def pages(self) -> Blueprint | None: ...

    def enter(self) -> Operator | Response:
        """The operator, or an answer in place of the page, such as the way to the login."""


class MachineAccess:
    """Without a login: pages for names of this machine, changes from this machine.

    A page of elsewhere that has its own name resolve to loopback gets nothing. (Flask's TRUSTED_HOSTS
    cannot hold an IPv6 address.)
    """

    pages: None = None

    def enter(self) -> Operator:
        if not names_this_machine(request.headers.get("Host", "")):
            abort(400, "Open the console under a name of this machine, such as localhost.")
        return Operator("local", may_change=is_loopback(request.remote_addr or ""))


def names_this_machine(host: str) -> bool:
    """Whether a Host header does."""
    try:
        return urlsplit(f"//{host}").hostname in _NAMES
    except ValueError:
        return False


def is_loopback(address: str) -> bool:
    """Whether an address of a client is of this machine; what is no address is not."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
