"""Listening sockets, bound before anything starts, so that a port in use is reported at once."""

import errno
import ipaddress
import socket

from webrtc_events.local.local_error import LocalError

__all__ = ["listen", "listen_loopback", "reach"]

_BACKLOG = 512
_NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}


def listen(host: str, port: int, flag: str) -> list[socket.socket]:
    """Sockets on `host`, and besides on 127.0.0.1 when `host` is neither loopback nor every address.

    `port` 0 takes a free one; `flag` is the option to name when the port cannot be had.

    Raises:
        LocalError: the port is in use or not permitted, or the host is not this machine.
    """
    family, address = _resolve(host)
    first = _bind(family, address, port, flag)
    if _covers_loopback(address):
        return [first]
    try:
        return [first, _bind(socket.AF_INET, "127.0.0.1", first.getsockname()[1], flag)]
    except LocalError:
        first.close()
        raise


def listen_loopback(port: int, flag: str) -> list[socket.socket]:
    """Sockets on 127.0.0.1 and, where the machine has it, ::1: `localhost` may mean either.

    Raises:
        LocalError: the port is in use or not permitted.
    """
    first = _bind(socket.AF_INET, "127.0.0.1", port, flag)
    try:
        return [first, _bind(socket.AF_INET6, "::1", first.getsockname()[1], flag)]
    except LocalError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_IPV6:
            return [first]
        first.close()
        raise


def reach(sockets: list[socket.socket]) -> tuple[str, int]:
    """The loopback host, in the form of a URL, and the port of the sockets."""
    host, port = sockets[-1].getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"
    return (f"[{host}]" if ":" in host else host), port


def _resolve(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise LocalError(f"--host {host!r} does not resolve: {error.strerror}") from error
    return family, str(address[0])


def _covers_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_unspecified


def _bind(family: socket.AddressFamily, address: str, port: int, flag: str) -> socket.socket:
    try:
        # asyncio sends at once (TCP_NODELAY) only on sockets that name their protocol; otherwise
        # an answer's body waits for the client to acknowledge its head, 40 ms each time.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise LocalError(f"cannot listen on {address}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        # Two sockets may be bound to one port until one of them listens.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise LocalError(_refusal(error, address, port, flag)) from error
    return listener


def _refusal(error: OSError, address: str, port: int, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {address} is in use; choose another with {flag}, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than you have; choose another with {flag}"
    return f"cannot listen on {address}, port {port}: {error.strerror}"
