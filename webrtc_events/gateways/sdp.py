"""What an SDP says of hold. Pure. Sources: RFC 3264, sections 5.1 and 8.4; RFC 8866."""

from typing import Final

__all__ = ["contract_sdp", "is_held", "kept_sdp"]

_MAX_LENGTH: Final = 32 * 1024

_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})


def kept_sdp(sdp: str | None) -> str | None:
    """None where it is so long that no endpoint means it: the call is told of without it."""
    return None if sdp is not None and len(sdp) > _MAX_LENGTH else sdp


def is_held(sdp: str) -> bool:
    """Whether who sent it wants to receive no media: each of its streams is `sendonly` or `inactive`.

    The older way is an address of 0.0.0.0. Without ICE only: with ICE it means nothing (RFC 8839, 4.3.1).
    """
    session, *streams = _sections(sdp)
    ice = any(line.startswith("a=ice-ufrag:") for lines in (session, *streams) for line in lines)
    in_use = [lines for lines in streams if _port(lines[0]) != "0"]
    return bool(in_use) and all(_stream_is_held(session, lines, ice=ice) for lines in in_use)


def contract_sdp(sdp: str) -> str:
    """With lines that end in CR LF, as the contract has it."""
    return "".join(f"{line}\r\n" for line in sdp.splitlines() if line)


def _stream_is_held(session: list[str], stream: list[str], *, ice: bool) -> bool:
    direction = _direction(stream) or _direction(session) or "sendrecv"
    return direction in ("sendonly", "inactive") or (not ice and _address(stream, session) == "0.0.0.0")  # noqa: S104


def _sections(sdp: str) -> list[list[str]]:
    sections: list[list[str]] = [[]]
    for line in sdp.splitlines():
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _port(media_line: str) -> str:
    fields = media_line.split()
    return fields[1].partition("/")[0] if len(fields) > 1 else "0"


def _direction(lines: list[str]) -> str | None:
    return next((line[2:].strip() for line in lines if line[2:].strip() in _DIRECTIONS), None)


def _address(stream: list[str], session: list[str]) -> str:
    found = next((line for lines in (stream, session) for line in lines if line.startswith("c=")), "")
    return found.split()[-1] if found.split() else ""
